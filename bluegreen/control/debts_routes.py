"""The debts that failbacks have left: to read, to acknowledge, to own, to pay."""

from __future__ import annotations

from aiohttp import web

from bluegreen.control import debts_documents
from bluegreen.control.exchange import DOOR, answer, asked, read_body
from bluegreen.errors import BadRequest


async def debts(request: web.Request) -> web.Response:
    name = request.match_info["service"]
    state = request.app[DOOR].fleet.engine(name).state
    return answer({"service": name, "debts": debts_documents.debts(state)})


async def owe(request: web.Request) -> web.Response:
    """One word at a time: acknowledge some (an empty list: all), own one, or pay one."""
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    body = await read_body(request, {"acknowledge": list, "own": str, "owner": str, "paid": str, "reason": str})
    words = [key for key in ("acknowledge", "own", "paid") if key in body]
    if len(words) != 1:
        raise BadRequest("which word?", {"acknowledge": "wanted exactly one of acknowledge, own and paid"})
    if not all(isinstance(one, str) for one in body.get("acknowledge", [])):
        raise BadRequest("acknowledge: not as wanted", {"acknowledge": "wanted a list of ids of debts; [] for all"})
    if "own" in body and not 1 <= len(body.get("owner", "").strip()) <= 200:
        raise BadRequest("who owns it?", {"owner": "wanted a name, of 200 characters at most"})
    if "paid" in body and not body.get("reason", "").strip():
        raise BadRequest("a debt that is paid needs a reason", {"reason": "wanted how it was put right"})
    await fleet.owe(
        name, asked(request, body),
        acknowledge=body.get("acknowledge"), own=body.get("own", ""), owner=body.get("owner", "").strip(),
        paid=body.get("paid", ""),
    )  # fmt: skip
    return answer({"service": name, "debts": debts_documents.debts(fleet.engine(name).state)}, status=202)


ROUTES: list[web.RouteDef] = [
    web.get("/v1/services/{service}/debts", debts),
    web.post("/v1/services/{service}/debts", owe),
]
