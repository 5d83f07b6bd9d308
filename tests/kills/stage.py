"""What the killed daemon works on: a real HAProxy with two backends, two small servers, steady traffic to both, and a
configuration with a switch point for each backend: so that splits can be mixed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.balancers.embedded import Server, configuration, embedded, find_binary
from bluegreen.balancers.runtime_api import RuntimeApi, number, server_rows
from bluegreen.demo.traffic import Figures, Traffic
from bluegreen.model import Weights

BACKENDS = {"front": "web", "side": "shop"}
"""Switch point -> HAProxy's backend."""

SERVICE = """
service: web
environments:
  blue: {{url: "http://127.0.0.1:{blue}"}}
  green: {{url: "http://127.0.0.1:{green}"}}
switch_points:
  - {{kind: haproxy, name: front, socket: {socket}, backend: web, servers: {{blue: [blue], green: [green]}}}}
  - {{kind: haproxy, name: side, socket: {socket}, backend: shop, servers: {{blue: [blue], green: [green]}}}}
deploy: {{kind: command, run: [/bin/true], idempotent: true}}
smoke: [{{name: up, http: "{{url}}/healthz"}}]
gates: [{{name: well, http: "{{url}}/healthz", every: 50ms}}]
shift: {{steps: {steps}, wait: {wait}}}
health: {{every: 50ms, timeout: 20s}}
bake: 50ms
keep_warm: 1ms
"""


@dataclass
class Stage:
    """Everything that outlives the daemon."""

    directory: Path
    config: Path
    admin: RuntimeApi
    traffic: list[Traffic]
    service: str
    states: int = 0

    @property
    def socket(self) -> Path:
        return self.directory / "c.sock"

    @property
    def state(self) -> Path:
        return self.directory / f"state-{self.states}"

    def new_state(self) -> None:
        """From the next life on the journal is another one: a short one starts faster."""
        self.states += 1
        self.config.write_text(
            f"state: {{directory: {self.state}}}\ncontrol: {{socket: c.sock}}\nobserve: {{every: 500ms}}\n"
        )

    def write_service(self, steps: str = "[50%, 100%]", wait: str = "20ms") -> None:
        """The service's file, as the next start or reload finds it."""
        (self.directory / "services" / "web.yaml").write_text(
            self.service.replace("STEPS", steps).replace("WAIT", wait)
        )

    async def weights(self) -> dict[str, Weights]:
        """What HAProxy does at this moment, by switch point, by an eye of our own."""
        found: dict[str, dict[str, int]] = {name: {} for name in BACKENDS}
        for name, backend in BACKENDS.items():
            for row in server_rows(await self.admin.ask(f"show servers state {backend}")):
                found[name][row["srv_name"]] = number(row, "srv_uweight")
        return {name: Weights.of(weights) for name, weights in found.items()}

    def figures(self) -> Figures:
        """Of all clients together."""
        each = [traffic.figures() for traffic in self.traffic]
        answers, failures = Counter[str](), Counter[str]()
        for one in each:
            answers.update(one.answers)
            failures.update(one.failures)
        return Figures(
            answers.total() + failures.total(), answers, failures,
            sum(one.opened for one in each), max(one.longest_gap for one in each),
        )  # fmt: skip


@contextlib.asynccontextmanager
async def stage(directory: Path, rate: float = 60.0) -> AsyncIterator[Stage]:
    """For the length of a test. Traffic ends with it: look at the figures afterwards."""
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for name in ("blue", "green"):
            server = await asyncio.start_server(functools.partial(_answer, name), "127.0.0.1", 0)
            ports[name] = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        front, side = _free_ports(2)
        servers = [Server(name, f"127.0.0.1:{ports[name]}", 100 * (name == "blue")) for name in ports]
        config = configuration(directory, f"127.0.0.1:{front}", "web", servers)
        haproxy = await stack.enter_async_context(
            embedded(directory, config + _second(config, side, "shop"), find_binary())
        )
        (directory / "services").mkdir()
        service = SERVICE.format(**ports, socket=haproxy.socket, steps="STEPS", wait="WAIT")
        clients = [Traffic("127.0.0.1", port, connections=8, rate=rate) for port in (front, side)]
        made = Stage(directory, directory / "bluegreen.yaml", RuntimeApi(str(haproxy.socket), 5.0), clients, service)
        made.write_service()
        made.new_state()
        async with asyncio.TaskGroup() as group:
            for one in clients:
                group.create_task(one.run())
            try:
                yield made
            finally:
                for one in clients:
                    one.stop()


def _second(config: str, port: int, backend: str) -> str:
    """The same frontend and backend once more, at another port and under another name."""
    first = config[config.index("\nbackend web\n") :]
    again = first.replace("\nbackend web\n", f"\nbackend {backend}\n")
    return f"frontend other\n    bind 127.0.0.1:{port}\n    default_backend {backend}{again}"


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


async def _answer(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A kept-alive connection that answers every request with its own name."""
    body = f'{{"version": "{name}"}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Version: {name}\r\nX-Color: {name}\r\n\r\n"
    with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write((head + body).encode())
            await writer.drain()
