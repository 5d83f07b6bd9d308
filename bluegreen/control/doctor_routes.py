"""The routes on everything that a switch will need: they look and change nothing, and answer within half a minute."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bluegreen import doctor
from bluegreen.control import doctor_documents
from bluegreen.control.exchange import DOOR, answer


async def service(request: web.Request) -> web.Response:
    """One service."""
    fleet, name = request.app[DOOR].fleet, request.match_info["service"]
    engine, began = fleet.engine(name), asyncio.get_running_loop().time()
    sections = await doctor.examine(engine, fleet.clock)
    seconds = asyncio.get_running_loop().time() - began
    return answer(doctor_documents.of_service(name, sections, fleet.clock.now(), seconds))


async def everything(request: web.Request) -> web.Response:
    """The daemon itself, and every service, all at once."""
    fleet, began = request.app[DOOR].fleet, asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        own = group.create_task(doctor.of_daemon(fleet.store))
        tasks = {name: group.create_task(doctor.examine(engine, fleet.clock)) for name, engine in fleet.engines.items()}
    found = {name: task.result() for name, task in tasks.items()}
    seconds = asyncio.get_running_loop().time() - began
    return answer(doctor_documents.of_all(own.result(), found, fleet.clock.now(), seconds))


ROUTES: list[web.RouteDef] = [
    web.get("/v1/doctor", everything),
    web.get("/v1/services/{service}/doctor", service),
]
