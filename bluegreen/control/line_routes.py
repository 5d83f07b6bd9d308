"""The route of a claim: somebody says, I have it."""

from __future__ import annotations

from aiohttp import web

from bluegreen.control import documents, identity
from bluegreen.control.exchange import DOOR, answer, asked, noted, read_body
from bluegreen.core import admit_line


async def claim(request: web.Request) -> web.Response:
    fleet = request.app[DOOR].fleet
    engine = fleet.engine(request.match_info["service"])
    body = await read_body(request, {"halt": str, "drop": bool, "reason": str})
    who, halt, drop = str(request[identity.ACTOR]), body.get("halt"), body.get("drop", False)
    await noted(engine, lambda now: admit_line.claim(now, who, halt, drop=drop), asked(request, body))
    return answer(documents.service(engine, fleet.clock.now()), status=202)


ROUTES = [web.post("/v1/services/{service}/claim", claim)]
