"""The routes of guards that are made of lessons: added in shadow, enforced, taken away; each on record."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bluegreen.config import guards as rules
from bluegreen.control import identity, lessons_documents
from bluegreen.control.exchange import DOOR, answer, asked, noted, read_body
from bluegreen.core import admit_lessons
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest, NotPermitted

ACTS = ("add", "enforce", "remove")


async def guards(request: web.Request) -> web.Response:
    return answer(lessons_documents.guards(request.app[DOOR].fleet.engine(request.match_info["service"])))


async def change(request: web.Request) -> web.Response:
    engine = request.app[DOOR].fleet.engine(request.match_info["service"])
    fields = {"act": str, "name": str, "check": dict, "lesson": str, "force": bool, "reason": str}
    body = await read_body(request, fields)
    name, act, reason, warnings = body.get("name", ""), body.get("act", "add"), body.get("reason", ""), list[str]()
    if not name:
        raise BadRequest("which guard?", {"name": "missing"})
    match act:
        case "add":
            warnings = await _add(request, engine, body)
        case "enforce":
            force = body.get("force", False)
            await noted(
                engine, lambda now: admit_lessons.enforce(now, name, force=force, reason=reason), asked(request, body)
            )
        case "remove":
            await noted(engine, lambda now: admit_lessons.remove(now, name, reason), asked(request, body))
        case _:
            raise BadRequest(f"{act!r} is not known", {"act": f"wanted one of {', '.join(ACTS)}"})
    return answer({**lessons_documents.guards(engine), "warnings": warnings}, status=202)


async def _add(request: web.Request, engine: ServiceEngine, body: dict[str, Any]) -> list[str]:
    """Gives the warnings. What runs a program or sends a secret is for those who may do as the daemon does anyway: the
    right to deploy must not become a shell."""
    name = body["name"]
    check, warnings = rules.checked(engine.setup.config, {**body.get("check", {}), "name": name})
    if rules.needs_trust(check) and not identity.is_the_daemons_own(request[identity.ACTOR]):
        what = "a guard that runs a program, uses a secret or asks AWS under another name"
        raise NotPermitted(
            f"{what} is made by root or by the daemon's own user",
            "on the daemon's host, as one of them; or write it into the service's file",
        )
    text = rules.kept(check)
    await noted(
        engine,
        lambda now: admit_lessons.add_guard(now, name, check.kind, text, body.get("lesson", "")),
        asked(request, body),
    )
    return warnings


ROUTES = [
    web.get("/v1/services/{service}/guards", guards),
    web.post("/v1/services/{service}/guards", change),
]
