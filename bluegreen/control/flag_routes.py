"""The routes of feature flags: what they are now and what changed, and setting one."""

from __future__ import annotations

from aiohttp import web

from bluegreen import flag_verbs
from bluegreen.control import documents, flag_documents
from bluegreen.control.exchange import DOOR, answer, asked, read_body
from bluegreen.errors import BadRequest
from bluegreen.flags import VALUE_MAX


async def flags(request: web.Request) -> web.Response:
    """Read live, beside what is on record."""
    engine = request.app[DOOR].fleet.engine(request.match_info["service"])
    shown = await flag_verbs.look(engine)
    provider = engine.ports().flags
    place, writable = (provider.place, provider.writable) if provider is not None else ("", False)
    return answer(flag_documents.listed(engine.state, shown, place, writable))


async def set_flag(request: web.Request) -> web.Response:
    """Durable when this answers; the outcome is in the document, or still to come."""
    fleet, name = request.app[DOOR].fleet, request.match_info["name"]
    engine = fleet.engine(request.match_info["service"])
    body = await read_body(request, {"value": str, "reason": str, "halt": str, "expected": str})
    value = body.get("value", "")
    if not value or len(value) > VALUE_MAX or not value.isprintable():
        wanted = f"wanted on, off or a value of at most {VALUE_MAX} printable characters"
        raise BadRequest("which value?", {"value": wanted if value else f"missing; {wanted}"})
    await flag_verbs.set_flag(engine, name, value, asked(request, body), body.get("expected"), body.get("halt"))
    location = {"Location": f"/v1/services/{engine.state.service}/flags"}
    return answer(documents.service(engine, fleet.clock.now()), status=202, headers=location)


ROUTES: list[web.RouteDef] = [
    web.get("/v1/services/{service}/flags", flags),
    web.post("/v1/services/{service}/flags/{name}", set_flag),
]
