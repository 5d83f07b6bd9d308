"""The routes of tokens: which there are; making and revoking one. A token itself is never in a request or an answer."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bluegreen.control import identity
from bluegreen.control.exchange import DOOR, Door, answer, read_body
from bluegreen.control.tokens import Token
from bluegreen.control.values import time
from bluegreen.errors import BadRequest, NotPermitted

ACTS = ("make", "revoke")


async def tokens(request: web.Request) -> web.Response:
    return answer(_document(request.app[DOOR]))


async def change(request: web.Request) -> web.Response:
    """For those who may do as the daemon does anyway: a token must not make itself a successor."""
    door, actor = request.app[DOOR], request[identity.ACTOR]
    body = await read_body(request, {"act": str, "name": str, "sha256": str, "reason": str})
    act, name, now = body.get("act", "make"), body.get("name", ""), time(door.fleet.clock.now())
    if act not in ACTS:
        raise BadRequest(f"{act!r} is not known", {"act": f"wanted one of {', '.join(ACTS)}"})
    if not name:
        raise BadRequest("which token?", {"name": "missing"})
    if not identity.is_the_daemons_own(actor):
        raise NotPermitted("tokens are made and revoked by root or by the daemon's own user", "on the daemon's host")
    if act == "make":
        made = Token(name, body.get("sha256", ""), actor.name, str(now), str(body.get("reason", ""))[:2000])
        await door.made.make(made, door.tokens())
    else:
        await door.made.revoke(name, actor.name, str(now), door.tokens())
        door.hub.part(f"token:{name}")
    return answer(_document(door), status=202)


def _document(door: Door) -> dict[str, Any]:
    made = [
        {
            "name": one.name, "from": "made", "by": one.by, "at": one.at, "reason": one.reason,
            "revoked_by": one.revoked_by, "revoked_at": one.revoked_at,
        }
        for one in door.made.every()
    ]  # fmt: skip
    unknown = {"by": "", "at": None, "reason": "", "revoked_by": "", "revoked_at": None}
    configured = [{"name": name, "from": "configuration", **unknown} for name in door.tokens()]
    return {"http": door.about.get("http"), "error": door.made.trouble, "tokens": [*configured, *made]}


ROUTES = [web.get("/v1/tokens", tokens), web.post("/v1/tokens", change)]
