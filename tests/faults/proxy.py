"""Proxies that break calls on purpose, for a daemon that is a process of its own: before HAProxy's admin socket, and
before AWS. Each fault is for the next call of its kind, once; then calls pass. Writes are counted where they arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from tests.balancers.aws_rig import FaultProxy

SLOW_SECONDS = 0.4


@dataclass
class ChaosSocket:
    """Before an admin socket. The faults of a line that sets something, and of one that only asks:

    lose    never forwarded; the connection is closed       drop    forwarded; closed without an answer
    half    forwarded; half of the answer, then closed      hang    forwarded; never answered
    slow    forwarded; answered after SLOW_SECONDS          late    answered with nothing at once, forwarded after that
    """

    upstream: str
    path: Path
    writes: deque[str] = field(default_factory=deque)
    reads: deque[str] = field(default_factory=deque)
    made: list[str] = field(default_factory=list)
    """The lines that set something, as they arrived at HAProxy."""
    landed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a line that was to come late has arrived."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ChaosSocket]:
        """Listen, for the length of a test."""
        server = await asyncio.start_unix_server(self._serve, str(self.path))
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            line = await reader.readline()
            scripted = self.writes if line.startswith(b"set ") else self.reads
            fault = scripted.popleft() if scripted else "pass"
            if fault == "late":
                writer.close()
                await asyncio.sleep(SLOW_SECONDS)
            answer = await self._forwarded(line) if fault != "lose" else b""
            if fault == "late":
                self.landed.set()
            if fault == "hang":
                await reader.read()  # until the client goes
            elif fault == "slow":
                await asyncio.sleep(SLOW_SECONDS)
            if fault in ("pass", "slow", "half"):
                writer.write(answer[: len(answer) // 2] if fault == "half" else answer)
                await writer.drain()

    async def _forwarded(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.upstream)
        with contextlib.closing(writer):
            writer.write(line)
            if line.startswith(b"set "):
                self.made.append(line.decode().strip())
            return await reader.read(-1)


class OnceProxy(FaultProxy):
    """Before AWS: `once["ModifyListener"]` are the faults of its next calls, one each. `arrived` are the calls that got
    through to AWS."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.once: dict[str, deque[str]] = {}
        self.arrived: Counter[str] = Counter()

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        action = parse_qs(body.decode())["Action"][0]
        if self.once.get(action):
            self.faults[action] = self.once[action].popleft()
        elif action in self.once:
            self.faults.pop(action, None)
            del self.once[action]
        return super()._answer(body, headers)

    def _forward(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.arrived[parse_qs(body.decode())["Action"][0]] += 1
        return super()._forward(body, headers)
