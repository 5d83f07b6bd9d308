"""Kill the real daemon with -9 at random instants while it switches a real HAProxy under real load, again and again.

After each kill: the journal's chain holds, everything that was acknowledged is in it, and the next daemon knows the
split or says that it does not. Over all of it: not one request fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bluegreen.balancers.embedded import Server, configuration, embedded, find_binary
from bluegreen.demo.traffic import Figures, Traffic
from bluegreen.errors import BlueGreenError
from bluegreen.store.sqlite import SqliteStore
from tests.acceptance.operator import Daemon, Operator

SERVICE = """
service: web
environments:
  blue: {{url: "http://127.0.0.1:{blue}"}}
  green: {{url: "http://127.0.0.1:{green}"}}
switch_points:
  - {{kind: haproxy, name: front, socket: {socket}, backend: web, servers: {{blue: [blue], green: [green]}}}}
deploy: {{kind: command, run: [/bin/true], idempotent: true}}
smoke: [{{name: up, http: "{{url}}/healthz"}}]
shift: {{steps: [5%, 20%, 40%, 60%, 80%, 100%], wait: {wait}}}
health: {{every: 50ms, timeout: 20s}}
bake: 200ms
keep_warm: 1ms
"""


@dataclass
class Tally:
    """What was seen."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    entries: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    unsaid: list[str] = field(default_factory=list)
    figures: Figures | None = None


async def kill_many(directory: Path, kills: int, seed: int) -> Tally:
    """So many kills; every instant comes from the seed. Raises JournalBroken where a chain does not hold."""
    chance, tally = random.Random(seed), Tally()
    async with balanced(directory) as (config, port):
        daemon, operator = Daemon(config, directory / "c.sock"), Operator(directory / "c.sock", "web")
        traffic = Traffic("127.0.0.1", port, connections=16, rate=200)
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run())
            try:
                acknowledged: set[str] = set()
                for _ in range(kills):
                    await daemon.start()
                    await _one_life(operator, daemon, chance, tally, acknowledged)
                    await _look_at_the_journal(directory / "state", tally, acknowledged)
                await daemon.start()
                await operator.until(lambda seen: _settled(seen, tally), "the last switch's end")
            finally:
                traffic.stop()
                with contextlib.suppress(ProcessLookupError):
                    await daemon.end(signal.SIGKILL)
        tally.figures = traffic.figures()
    return tally


async def _one_life(
    operator: Operator, daemon: Daemon, chance: random.Random, tally: Tally, acknowledged: set[str]
) -> None:
    """Ask for a switch where none is open, then die at a random instant of it."""
    ends = asyncio.get_running_loop().time() + chance.uniform(0.0, 1.2)
    with contextlib.suppress(BlueGreenError, TimeoutError):
        async with asyncio.timeout_at(ends):
            while True:
                seen = await operator.look()
                _said(seen, tally)
                switch = seen["switch"]
                if switch is None or switch["condition"] not in ("running", "paused", "halted"):
                    started = await _something_new(operator, seen, chance)
                    acknowledged.add(started["id"])
                    tally.acknowledged += 1
                else:
                    tally.phases[switch["phase"]] += 1
                await asyncio.sleep(0.02)
    await daemon.end(signal.SIGKILL)
    tally.kills += 1


async def _something_new(operator: Operator, seen: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    if seen["switch"] is not None:
        assert seen["switch"]["condition"] in ("completed", "failed_back"), seen["switch"]
    if seen["warm"] is not None and chance.random() < 0.4:
        return await operator.failback("as the harness says")
    return await operator.deploy(f"v{chance.randrange(10**6)}")


def _said(seen: dict[str, Any], tally: Tally) -> None:
    """The split is as the journal says, or the document says that it is not known, or that it drifted."""
    for name, point in seen["switch_points"].items():
        if point["agrees"] is False and not seen["drift"] and not _moving(seen):
            tally.unsaid.append(f"{name}: {point}")


def _moving(seen: dict[str, Any]) -> bool:
    return seen["switch"] is not None and seen["switch"]["condition"] == "running"


def _settled(seen: dict[str, Any], tally: Tally) -> bool:
    switch = seen["switch"]
    if switch is None or switch["condition"] in ("running", "paused"):
        return False
    tally.ends[switch["condition"]] += 1
    return True


async def _look_at_the_journal(state: Path, tally: Tally, acknowledged: set[str]) -> None:
    """Between two lives: opening it verifies every entry and the whole chain."""
    store = SqliteStore(state)
    await store.open("harness")
    entries = await store.read()
    await store.close()
    known = {entry.record.switch for entry in entries}
    tally.lost += len(acknowledged - known)
    tally.entries = len(entries)


@contextlib.asynccontextmanager
async def balanced(directory: Path, wait: str = "100ms") -> AsyncIterator[tuple[Path, int]]:
    """HAProxy in front of two small servers, and a configuration for them. Gives its path and the front's port."""
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for name in ("blue", "green"):
            server = await asyncio.start_server(functools.partial(_answer, name), "127.0.0.1", 0)
            ports[name] = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        front = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        front.close()
        await front.wait_closed()
        servers = [Server(name, f"127.0.0.1:{ports[name]}", 100 * (name == "blue")) for name in ports]
        haproxy = await stack.enter_async_context(
            embedded(directory, configuration(directory, f"127.0.0.1:{port}", "web", servers), find_binary())
        )
        (directory / "services").mkdir()
        service = SERVICE.format(**ports, socket=haproxy.socket, wait=wait)
        (directory / "services" / "web.yaml").write_text(service)
        config = directory / "bluegreen.yaml"
        config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 500ms}\n")
        yield config, port


async def _answer(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A kept-alive connection that answers every request with its own name."""
    body = f'{{"version": "{name}"}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Version: {name}\r\nX-Color: {name}\r\n\r\n"
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write((head + body).encode())
            await writer.drain()
    writer.close()


def report(tally: Tally) -> str:
    """The figures, for the reader of the output."""
    figures = tally.figures
    assert figures is not None
    return (
        f"{tally.kills} kills in phases {dict(tally.phases)}; {tally.acknowledged} switches acknowledged, "
        f"{tally.lost} lost; "
        f"{tally.entries} entries, chain whole; {len(tally.unsaid)} splits unsaid; last switch {dict(tally.ends)}; "
        f"{figures.requests} requests, {figures.failed} failed {dict(figures.failures)}, "
        f"longest gap {figures.longest_gap * 1000:.0f} ms"
    )
