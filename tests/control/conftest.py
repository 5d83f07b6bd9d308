"""The control endpoint in process: a real unix socket and a real TCP port over a service on a balancer in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bluegreen.config.load import load
from bluegreen.control.app import build_app
from bluegreen.control.exchange import Door
from bluegreen.control.tokens import MadeTokens
from bluegreen.parts import Parts

TOKEN = "a-very-secret-token"
ABOUT = {
    "version": "0",
    "pid": 1,
    "started_at": "2026-11-23T09:00:00.000Z",
    "user": "uid:0(root)",
    "config": "bluegreen.yaml",
}
SERVICE = """
service: web
environments: {blue: {url: "http://127.0.0.1:1"}, green: {url: "http://127.0.0.1:2"}}
switch_points: [{kind: memory}]
deploy: {kind: command, run: [/bin/sh, -c, "test ! -e broken"]}
smoke: [{name: ticket, command: [/bin/sh, -c, "test ! -e bad"]}]
shift: {steps: [50%, 100%], wait: 50ms}
bake: 50ms
health: {every: 50ms}
warm: {every: 1s}
"""


@dataclass
class Endpoint:
    """Both doors, and what is behind them."""

    directory: Path
    parts: Parts
    runner: web.AppRunner
    socket: str
    url: str
    unix: aiohttp.ClientSession
    tcp: aiohttp.ClientSession

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.unix.get(f"http://daemon{path}", **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        async with self.unix.post(f"http://daemon{path}", json=body or {}, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def service(self) -> dict[str, Any]:
        return dict((await self.get("/v1/services/web"))[1])

    async def until(self, *conditions: str) -> dict[str, Any]:
        """Until the switch is in one of these conditions, and what there was to keep of it is kept."""
        async with asyncio.timeout(90):
            while True:
                switch = (document := await self.service())["switch"] or {}
                gathering = (switch.get("evidence") or {}).get("state") == "gathering"
                if switch.get("condition") in conditions and not gathering:
                    return document
                await asyncio.sleep(0.01)

    async def deployed(self, version: str = "v2", **more: Any) -> dict[str, Any]:
        """A deployment to its end."""
        status, _ = await self.post("/v1/services/web/deployments", {"version": version, **more})
        assert status == 202
        return await self.until("completed", "halted")

    async def events(self) -> list[dict[str, Any]]:
        return list((await self.get("/v1/events"))[1]["events"])


@pytest.fixture
def service_file() -> str:
    """The service behind the endpoint; a module that wants another one has a fixture of this name."""
    return SERVICE


@pytest.fixture
async def endpoint(request: pytest.FixtureRequest, tmp_path: Path, service_file: str) -> AsyncIterator[Endpoint]:
    """`parametrize("endpoint", ["approve"], indirect=True)` makes the shift wait for that."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "web.yaml").write_text(
        service_file.replace("50ms}", f"{getattr(request, 'param', '50ms')}}}", 1)
    )
    config = tmp_path / "bluegreen.yaml"
    config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 200ms}\n")
    parts = Parts(load(config))
    await parts.open("test")
    door = Door(
        parts.fleet, parts.hub, parts.metrics, ABOUT, lambda: {"ci": TOKEN}, MadeTokens(tmp_path / "tokens.json")
    )
    runner = web.AppRunner(build_app(door), access_log=None, shutdown_timeout=30)
    await runner.setup()
    socket = str(tmp_path / "c.sock")
    await web.UnixSite(runner, socket).start()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[-1][1]
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as unix,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as tcp,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(parts.fleet.run())
        made = Endpoint(tmp_path, parts, runner, socket, f"http://127.0.0.1:{port}", unix, tcp)
        async with asyncio.timeout(90):
            while (await made.service())["live"] is None:  # noqa: ASYNC110 - asked as a client would
                await asyncio.sleep(0.01)
        yield made
        await parts.fleet.stop()
        await asyncio.wait({running}, timeout=90)
        await runner.cleanup()
    await parts.close()
