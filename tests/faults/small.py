"""A small service for faults in real processes: two switch points in memory, a check, a deploy command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.door import Door
from tests.faults.nursery import Nursery, nursery

SERVICE = """
service: web
environments: {{blue: {{url: "http://127.0.0.1:1"}}, green: {{url: "http://127.0.0.1:2"}}}}
switch_points: [{{kind: memory, name: eu}}, {{kind: memory, name: us}}]
deploy: {{kind: command, run: [/bin/sh, -c, "{command}"], idempotent: {idempotent}}}
smoke: [{{name: orders, command: [/bin/sh, -c, "{smoke}"], timeout: 60s}}]
gates: [{{name: errors, command: ["true"], every: 100ms}}]
shift: {{steps: [50%, 100%], wait: {wait}}}
bake: 10ms
failback: {{steps: {back}, wait: {back_wait}}}
keep_warm: 1ms
"""


@dataclass
class Small:
    """The service's daemon: its next lives, its door, and the log of the failpoints that were passed."""

    directory: Path
    nursery: Nursery
    door: Door

    @property
    def log(self) -> Path:
        return self.directory / "passed"

    def balancer(self, point: str) -> Path:
        """The file that plays the balancer."""
        return self.directory / "state" / f"memory-web-{point}.json"

    def passed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def write_service(
        self,
        command: str = "true",
        smoke: str = "true",
        wait: str = "10ms",
        idempotent: str = "true",
        back: str = "[100%]",
        back_wait: str = "10ms",
    ) -> None:
        """As the next start or reload finds it."""
        text = SERVICE.format(
            command=command, smoke=smoke, wait=wait, idempotent=idempotent, back=back, back_wait=back_wait
        )
        (self.directory / "services" / "web.yaml").write_text(text)


def laid_out(directory: Path, service: str) -> Path:
    """A configuration with one service. Gives its path."""
    (directory / "services").mkdir()
    (directory / "services" / "web.yaml").write_text(service)
    config = directory / "bluegreen.yaml"
    config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 500ms}\n")
    return config


@contextlib.asynccontextmanager
async def small(directory: Path, **service: str) -> AsyncIterator[Small]:
    """For the length of a test; no life has begun yet."""
    async with nursery(laid_out(directory, ""), directory / "c.sock") as lives:
        made = Small(directory, lives, Door(directory / "c.sock"))
        made.write_service(**service)
        yield made


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


async def bluegreen(there: Small, *arguments: str, config: str = "bluegreen.yaml") -> Ran:
    """The command line, as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen", *arguments, "--config", str(there.directory / config),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def at_half(there: Small) -> None:
    await there.door.until(
        lambda seen: set(seen["environments"]["green"]["weights"].values()) == {50.0}, "green at 50 %"
    )
