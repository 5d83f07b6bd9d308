"""The control endpoint: every route in one list, each handler a few lines over the fleet. It decides nothing itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web

from bluegreen import changes
from bluegreen.control import (
    debts_routes,
    doctor_routes,
    documents,
    evidence_routes,
    flag_routes,
    guards_routes,
    identity,
    lessons_routes,
    line_routes,
    openapi,
    tokens_routes,
    warm_routes,
)
from bluegreen.control.exchange import CAUSE, DOOR, Door, answer, asked, given, number, read_body, whole
from bluegreen.control.problems import BODY_BYTES_MAX, as_problems
from bluegreen.control.stream import PAGE
from bluegreen.control.values import time
from bluegreen.core.manifest import write_down
from bluegreen.errors import BadRequest
from bluegreen.fleet import looked_up

VERBS = ("approve", "pause", "resume", "promote", "abort", "accept", "release", "halt", "adopt", "restore", "leave")


def build_app(door: Door) -> web.Application:
    """The application for one door; the unix socket and TCP each have their own runner over it."""
    app = web.Application(
        middlewares=[as_problems, identity.middleware(door.tokens, door.made)],  # type: ignore[list-item]
        client_max_size=BODY_BYTES_MAX,
    )
    app[DOOR] = door
    app.on_shutdown.append(_end_streams)
    app.add_routes([*lessons_routes.ROUTES, *guards_routes.ROUTES, *evidence_routes.ROUTES, *line_routes.ROUTES])
    app.add_routes(
        [
            web.get("/v1/services", services),
            web.get("/v1/services/{service}", service),
            web.get("/v1/services/{service}/plan", plan),
            web.get("/v1/services/{service}/failback", failback_plan),
            web.post("/v1/services/{service}/failback", failback),
            web.post("/v1/services/{service}/deployments", deploy),
            web.get("/v1/services/{service}/history", history),
            *warm_routes.ROUTES,
            *[web.post(f"/v1/services/{{service}}/{verb}", ask) for verb in VERBS],
            *debts_routes.ROUTES,
            *doctor_routes.ROUTES,
            web.get("/v1/schemas/changes.json", changes_schema),
            web.get("/v1/switches/{id}", switch),
            web.get("/v1/events", events),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/openapi.json", schema),
            web.get("/", page),
            web.get("/page/{name}", page),
            *flag_routes.ROUTES,
            *tokens_routes.ROUTES,
        ]
    )
    return app


# --- reading ---


async def services(request: web.Request) -> web.Response:
    door = request.app[DOOR]
    now = door.fleet.clock.now()
    found = [documents.service(engine, now) for engine in door.fleet.engines.values()]
    return _unless_known(request, {"services": found, "as_of": time(now), "daemon": dict(door.about)})


async def service(request: web.Request) -> web.Response:
    fleet = request.app[DOOR].fleet
    engine = fleet.engine(request.match_info["service"])
    await looked_up(engine)
    return _unless_known(request, documents.service(engine, fleet.clock.now()))


async def plan(request: web.Request) -> web.Response:
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    version = request.query.get("version")
    if not version:
        raise BadRequest("which version?", {"version": "wanted ?version=VERSION"})
    made = await fleet.deployment_plan(name, version, request.query.get("artifact"))
    return answer(documents.deployment_plan(name, version, made))


async def failback_plan(request: web.Request) -> web.Response:
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    made = await fleet.failback_plan(name)
    return answer(documents.failback_plan(fleet.engine(name), made, fleet.clock.now()))


async def history(request: web.Request) -> web.Response:
    state = request.app[DOOR].fleet.engine(request.match_info["service"]).state
    limit = number(request, "limit", 50)
    switches = [*state.past, *([state.switch] if state.switch else [])]
    return answer({"switches": [documents.switch(one, state) for one in reversed(switches)][:limit]})


async def switch(request: web.Request) -> web.Response:
    fleet = request.app[DOOR].fleet
    state, one = fleet.switch(request.match_info["id"])
    if state.switch is one:
        return answer(documents.service(fleet.engine(state.service), fleet.clock.now())["switch"])
    return answer(documents.switch(one, state))


async def events(request: web.Request) -> web.StreamResponse:
    door = request.app[DOOR]
    name = request.query.get("service")
    if name is not None:
        door.fleet.engine(name)
    if "text/event-stream" in request.headers.get("Accept", ""):
        last = whole(request.headers.get("Last-Event-ID", ""))
        after = number(request, "after", 0) if last is None else last
        return await door.hub.serve(request, door.fleet, name, after)
    after = number(request, "after", 0)
    found = await door.fleet.store.read(name, after, min(number(request, "limit", PAGE), PAGE))
    return answer({"events": [documents.event(entry) for entry in found], "next": found[-1].seq if found else after})


async def healthz(_: web.Request) -> web.Response:
    """The process is there and its loop turns."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Fit to switch: the journal takes writes, every balancer was read, no service is in doubt about who is live."""
    fleet = request.app[DOOR].fleet
    journal = await fleet.store.writable()
    faults = [] if journal.ok else [f"journal: {journal.summary}"]
    for name, engine in fleet.engines.items():
        faults += [f"{name}: {point}: {seen.error}" for point, seen in engine.seen.items() if seen.weights is None]
        if engine.state.live is None:
            faults.append(f"{name}: it is not known which environment is live")
    document = {"ready": not faults, "faults": faults, "journal": documents.finding(journal)}
    return answer(document, status=503 if faults else 200)


async def metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[DOOR].metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})


async def changes_schema(_: web.Request) -> web.Response:
    """The JSON Schema of a change manifest."""
    return answer(changes.json_schema())


async def schema(_: web.Request) -> web.Response:
    return answer(openapi.document())


_SCRIPTS = ("app.js", "dialog.js", "door.js", "report.js", "view.js")
_PAGE = {"index.html": "text/html", "style.css": "text/css", **dict.fromkeys(_SCRIPTS, "text/javascript")}


async def page(request: web.Request) -> web.Response:
    """The page and its parts: static, without a secret; what they show they ask of this very API."""
    name = request.match_info.get("name", "index.html")
    if name not in _PAGE:
        raise web.HTTPNotFound
    text = (files("bluegreen.control") / "page" / name).read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return web.Response(text=text, content_type=_PAGE[name], headers=headers)


# --- changing ---


async def deploy(request: web.Request) -> web.Response:
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    known = {"version": str, "artifact": str, "replace_warm": bool, "reason": str, "changes": list, "halt": str}
    known["override_freeze"] = bool
    body = await read_body(request, {**known, **CAUSE})
    if "version" not in body:
        raise BadRequest("which version?", {"version": "missing"})
    started = await fleet.deploy(
        name,
        body["version"],
        asked(request, body),
        body.get("artifact"),
        replace_warm=body.get("replace_warm", False),
        changes=write_down(changes.from_body(body["changes"])) if "changes" in body else "",
        **given(body, CAUSE),
        halt=body.get("halt"),
        override_freeze=body.get("override_freeze", False),
    )
    return _accepted(request, started.id)


async def failback(request: web.Request) -> web.Response:
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    body = await read_body(request, {"plan": str, "reason": str, "acknowledge": list, "confirm": str, **CAUSE})
    missing = {key: "missing" for key in ("plan", "reason") if not str(body.get(key, "")).strip()}
    if missing:
        raise BadRequest(
            "a failback needs the plan that you have seen, and a reason", missing, f"GET {request.path} shows the plan"
        )
    if not all(isinstance(one, str) for one in body.get("acknowledge", [])):
        raise BadRequest("acknowledge: not as wanted", {"acknowledge": "wanted a list of ids of the report's lines"})
    said = {"acknowledge": body.get("acknowledge", []), "confirm": body.get("confirm")}
    started = await fleet.failback(name, body["plan"], asked(request, body), **said, **given(body, CAUSE))
    return _accepted(request, started.id)


async def ask(request: web.Request) -> web.Response:
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    verb = request.path.rsplit("/", 1)[-1]
    known = {"reason": str, "halt": str, "check": str, "environment": str, "drift": list, "override_freeze": bool}
    body = await read_body(request, {**known, **CAUSE})
    if verb == "accept" and not body.get("check"):
        raise BadRequest("which check?", {"check": "missing"})
    if not all(isinstance(one, str) for one in body.get("drift", [])):
        raise BadRequest("drift: not as wanted", {"drift": "wanted a list of the ids of drifts"})
    more = given(body, ("check", "halt", "environment", "drift", "override_freeze", *CAUSE))
    one = await fleet.ask(name, verb, asked(request, body), **more)
    location = {"Location": f"/v1/switches/{one.id}"} if one else {}
    return answer(documents.service(fleet.engine(name), fleet.clock.now()), status=202, headers=location)


# --- parts ---


def _unless_known(request: web.Request, document: Mapping[str, Any]) -> web.Response:
    """The document with its ETag; 304 where the asker names that one, among others or as a weak one too."""
    etag = _etag(document)
    if any(known.value in ("*", etag.strip('"')) for known in request.if_none_match or ()):
        return web.Response(status=304, headers={"ETag": etag})
    return answer(document, headers={"ETag": etag})


def _etag(document: Mapping[str, Any]) -> str:
    """The revision, or of a list their sum, and a digest of all that can change without an entry in the journal, but
    for times of reading."""
    times = {"as_of", "read_at", "proven_at", "proofs", "alive_at", "alive", "written_at"}

    def lasting(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: lasting(item) for key, item in value.items() if key not in times}
        return [lasting(item) for item in value] if isinstance(value, list) else value

    digest = hashlib.sha256(json.dumps(lasting(document), sort_keys=True).encode()).hexdigest()[:12]
    revision = sum(one["revision"] for one in document.get("services", (document,)))
    return f'"{revision}-{digest}"'


def _accepted(request: web.Request, id_: str) -> web.Response:
    fleet = request.app[DOOR].fleet
    state, one = fleet.switch(id_)
    lawful = documents.service(fleet.engine(state.service), fleet.clock.now())
    document = lawful["switch"] if state.switch is one else documents.switch(one, state)
    return answer({"switch": document}, status=202, headers={"Location": f"/v1/switches/{id_}"})


async def _end_streams(app: web.Application) -> None:
    app[DOOR].hub.close()
