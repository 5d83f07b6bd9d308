"""Real traffic: kept-alive connections that ask at a steady pace and count every answer.

The client is a few lines of HTTP/1.1 over asyncio's streams, on purpose: the usual clients ask again, unseen, when a
kept-alive connection is closed under a request, and so hide the very failures that are to be counted here. This one
asks once. An answer is good when it is a 2xx that says its version; everything else is a failure, by its kind.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

ANSWER_SECONDS_MAX = 5.0
"""A request without an answer for so long has failed."""

FAILURE_PAUSE = 0.1
"""Seconds that a client waits after a failure, so that a balancer that is down is not asked in a tight loop."""

KEPT = 20_000
"""How many good answers are kept with their time: a minute of them, for the shares of the last steps."""

OK_FROM, OK_BELOW = 200, 300


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted so far. Times in seconds. `requests` are the ended ones: answered or failed."""

    requests: int
    answers: Mapping[str, int]
    failures: Mapping[str, int]
    opened: int
    longest_gap: float

    @property
    def failed(self) -> int:
        """All failures, whatever their kind."""
        return sum(self.failures.values())


class Traffic:
    """`connections` clients that ask for `/` `rate` times a second altogether, until `stop`."""

    def __init__(self, host: str, port: int, connections: int = 32, rate: float = 300.0) -> None:
        self.connections, self.rate = connections, rate
        self._host, self._port = host, port
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._opened = 0
        self._last_good: float | None = None
        self._longest_gap = 0.0
        self._recent: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Ask until `stop`; then every request in flight gets its answer, and the connections are closed."""
        begin = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for number in range(self.connections):
                group.create_task(self._client(begin + number / self.rate))

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    def figures(self) -> Figures:
        """The counts now. A gap that still lasts counts as long as it has lasted."""
        gap = self._longest_gap
        if self._last_good is not None and not self._stopping.is_set():
            gap = max(gap, asyncio.get_running_loop().time() - self._last_good)
        requests = self._answers.total() + self._failures.total()
        return Figures(requests, dict(self._answers), dict(self._failures), self._opened, gap)

    def answered(self, begin: float, end: float) -> Mapping[str, int]:
        """Good answers by version between two moments of the event loop's time; of the last minute or so."""
        return Counter(version for at, version in self._recent if begin <= at < end)

    async def _client(self, due: float) -> None:
        """One client's share of the pace, on one connection for as long as that lasts."""
        with contextlib.closing(_Client(self._host, self._port)) as client:
            while not await self._stopped_before(due):
                due += self.connections / self.rate
                failure = await self._ask(client)
                if failure:
                    self._failures[failure] += 1
                    due = max(due, asyncio.get_running_loop().time() + FAILURE_PAUSE)

    async def _stopped_before(self, due: float) -> bool:
        """Wait until `due`, or until the stop; a moment that has passed is now."""
        try:
            async with asyncio.timeout_at(due):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, client: _Client) -> str:
        """One request, sent once. A good answer is counted; else gives the kind of the failure."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                if not client.connected:
                    await client.connect()
                    self._opened += 1
                status, version = await client.ask()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            kind = _kind(error, client.connected)
            client.close()
            return kind
        if not OK_FROM <= status < OK_BELOW:
            return f"status {status}"
        if not version:
            return "no version in the answer"
        self._good(version)
        return ""

    def _good(self, version: str) -> None:
        now = asyncio.get_running_loop().time()
        self._answers[version] += 1
        self._recent.append((now, version))
        if self._last_good is not None:
            self._longest_gap = max(self._longest_gap, now - self._last_good)
        self._last_good = now


def _kind(error: Exception, connected: bool) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time" if connected else "no connection in time"
    if not connected:
        return "connection refused"
    return "connection closed" if isinstance(error, OSError | EOFError) else "not HTTP"


class _Client:
    """One connection at a time; it asks once and never again by itself."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._request = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def connected(self) -> bool:
        return self._streams is not None

    async def connect(self) -> None:
        self._streams = await asyncio.open_connection(self._host, self._port)

    async def ask(self) -> tuple[int, str]:
        """The status and the answer's X-Version. Raises OSError, EOFError or ValueError where no whole answer comes."""
        if self._streams is None:
            raise AssertionError("not connected")
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        if "content-length" not in headers or headers.get("connection", "").lower() == "close":
            self.close()  # the server has said so: a new connection next time, and no failure
        return int(first.partition(" ")[2][:3]), headers.get("x-version", "")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
