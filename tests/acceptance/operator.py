"""What an operator does in the acceptance tests: the control endpoint over its unix socket, and waiting for facts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client, UnixDoor
from bluegreen.errors import BlueGreenError, DaemonUnreachable

Document = dict[str, Any]
WAIT_SECONDS = 90.0


class Operator:
    """One person at one service."""

    def __init__(self, socket: Path, service: str) -> None:
        self._client = Client(UnixDoor(str(socket)))
        self._service = service

    async def look(self) -> Document:
        """The service's document."""
        return await asyncio.to_thread(self._client.get, "services", self._service)

    async def post(self, *path: str, **body: Any) -> Document:
        """Ask for something; gives the answer's document. Raises what the daemon refuses with."""
        return await asyncio.to_thread(lambda: self._client.post("services", self._service, *path, body=body))

    async def deploy(self, version: str, **more: Any) -> Document:
        """`reason` is what giving up a warm environment wants."""
        return dict((await self.post("deployments", version=version, **{"reason": "a test", **more}))["switch"])

    async def failback(self, reason: str) -> Document:
        plan = await asyncio.to_thread(self._client.get, "services", self._service, "failback")
        assert plan["lawful"], plan["why_not"]
        said = {"acknowledge": plan["acknowledge"], "confirm": self._service}
        return dict((await self.post("failback", plan=plan["plan"], reason=reason, **said))["switch"])

    async def until(self, condition: Callable[[Document], bool], what: str) -> Document:
        """Look until it is so; a daemon that is away meanwhile is waited for."""
        document: Document = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    with contextlib.suppress(DaemonUnreachable):
                        document = await self.look()
                        if condition(document):
                            return document
                    await asyncio.sleep(0.05)
        raise AssertionError(f"not seen within {WAIT_SECONDS:g} s: {what}; last seen: {document.get('switch')}")

    async def ended(self, condition: str) -> Document:
        """Until the last switch is over, or halted with its evidence kept; it must be in that condition."""
        document = await self.until(lambda seen: _is_over(seen["switch"] or {}), "the switch's end")
        assert document["switch"]["condition"] == condition, document["switch"]["halt"]
        return document

    async def at(self, environment: str, weight: float) -> Document:
        """Until the environment has at least so many percent."""
        return await self.until(
            lambda seen: (seen["environments"][environment]["weight"] or 0) >= weight, f"{environment} at {weight}%"
        )


def _is_over(switch: Document) -> bool:
    over = ("halted", "completed", "aborted", "failed_back", "superseded")
    return switch.get("condition") in over and (switch.get("evidence") or {}).get("state") != "gathering"


def split(document: Document) -> dict[str, float]:
    """Percent by environment, as on record."""
    return {name: environment["weight"] for name, environment in document["environments"].items()}


class Daemon:
    """`bluegreen serve` as a process of its own; `program` names another module that does the same."""

    def __init__(
        self, config: Path, socket: Path, variables: dict[str, str] | None = None, program: str = "bluegreen"
    ) -> None:
        self._config, self._socket, self._program = config, socket, program
        self._variables = {**os.environ, **(variables or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and wait until it answers."""
        log = self._config.parent / "daemon.log"
        with log.open("ab") as stream:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._program, "serve", "--config", str(self._config),
                env=self._variables, stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
        client = Client(UnixDoor(str(self._socket)))
        async with asyncio.timeout(WAIT_SECONDS):
            while self._process.returncode is None:
                with contextlib.suppress(BlueGreenError):
                    await asyncio.to_thread(client.get, "services")
                    return
                await asyncio.sleep(0.02)
        raise AssertionError(f"the daemon ended with {self._process.returncode}: {log.read_text()[-2000:]}")

    def send(self, number: int) -> None:
        """Send it a signal, and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    async def wait(self) -> int:
        """Until it has ended by itself; gives its exit code."""
        assert self._process is not None
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._process.wait()

    async def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; gives its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._process.wait()


@contextlib.asynccontextmanager
async def running(config: Path, socket: Path, variables: dict[str, str] | None = None) -> AsyncIterator[Daemon]:
    """A daemon for the length of a test."""
    daemon = Daemon(config, socket, variables)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.end(signal.SIGKILL)
