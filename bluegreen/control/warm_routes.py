"""The route on the way back."""

from __future__ import annotations

from aiohttp import web

from bluegreen.control import warm_documents
from bluegreen.control.exchange import DOOR, answer


async def ready(request: web.Request) -> web.Response:
    """Whether a failback is possible right now: every proof with its age."""
    fleet = request.app[DOOR].fleet
    return answer(warm_documents.ready(fleet.engine(request.match_info["service"]), fleet.clock.now()))


ROUTES: list[web.RouteDef] = [web.get("/v1/services/{service}/ready", ready)]
