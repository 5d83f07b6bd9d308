"""The routes of evidence: what was kept at a halt, part by part or as one archive."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bluegreen.control import evidence_documents
from bluegreen.control.exchange import DOOR, answer
from bluegreen.core.notes.evidence import Sealed
from bluegreen.errors import NotFound
from bluegreen.gathering import Gathering


async def evidence(request: web.Request) -> web.Response:
    gathering, sealed = _bundle(request)
    manifest = await asyncio.to_thread(gathering.manifest, sealed.event.digest)
    return answer({**evidence_documents.sealed(sealed), "manifest": manifest})


async def part(request: web.Request) -> web.Response:
    gathering, sealed = _bundle(request)
    raw = await asyncio.to_thread(gathering.part, sealed.event.digest, request.match_info["part"])
    return answer({"part": request.match_info["part"], "text": raw.decode("utf-8", "replace")})


async def archive(request: web.Request) -> web.Response:
    gathering, sealed = _bundle(request)
    raw = await asyncio.to_thread(gathering.archive, sealed.event.digest)
    name = f"evidence-{sealed.event.halt}.tar.gz"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Evidence-Digest": sealed.event.digest}
    return web.Response(body=raw, content_type="application/gzip", headers=headers)


def _bundle(request: web.Request) -> tuple[Gathering, Sealed]:
    """The bundle of the halt that is named, else of the switch's last one. Raises NotFound."""
    fleet = request.app[DOOR].fleet
    state, switch = fleet.switch(request.match_info["id"])
    gathering = fleet.engine(state.service).gathering
    halts = state.notes.evidence.of_switch(switch.id)
    asked = request.query.get("halt")
    if gathering is None or not halts or (asked is not None and asked not in halts):
        known = f"halts with evidence: {', '.join(halts)}" if halts else "a switch that was never halted has none"
        raise NotFound(f"no evidence of {asked or switch.id}", known)
    sealed = state.notes.evidence.bundles[asked or halts[-1]]
    if not sealed.event.digest:
        raise NotFound(
            f"the evidence of {sealed.event.halt} is lost: {sealed.event.error}", "the journal is what is left"
        )
    return gathering, sealed


ROUTES = [
    web.get("/v1/switches/{id}/evidence", evidence),
    web.get("/v1/switches/{id}/evidence/archive", archive),
    web.get("/v1/switches/{id}/evidence/parts/{part}", part),
]
