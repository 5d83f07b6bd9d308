"""Small real HTTP for these tests: servers to stand behind a balancer, and clients to ask it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 90.0


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = SECONDS) -> None:
    """Wait for a condition of the world; fails with `what` where it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - what is waited for is in another process
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s in vain: {what}") from None


class Web:
    """An HTTP server that answers with its name. `/slow` waits for `release`; `/healthz` does while `check_hangs`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.healthy = True
        self.check_hangs = False
        self.release = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends with every connection closed and every handler over."""
        self.release.set()
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await until(self._idle, f"{self.name} ends")

    async def _idle(self) -> bool:
        return not self._writers

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
                if path == "/slow" or (path == "/healthz" and self.check_hangs):
                    await self.release.wait()
                status = "503 Bad" if path == "/healthz" and not self.healthy else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(self.name)}\r\n\r\n{self.name}".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client went away
        finally:
            self._writers.discard(writer)
            writer.close()


@contextlib.asynccontextmanager
async def webs(*names: str) -> AsyncIterator[dict[str, Web]]:
    """Servers by name; ended at the end."""
    made = {name: Web(name) for name in names}
    try:
        for web in made.values():
            await web.start()
        yield made
    finally:
        for web in made.values():
            await web.stop()


@dataclass
class Client:
    """One keep-alive connection to a front on a unix socket. Nothing is tried twice: a lost request is counted."""

    front: Path
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    connections: int = 0
    times: list[float] = field(default_factory=list)
    """When each good answer was there, on the event loop's clock."""
    _stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str = "/") -> None:
        """Ask once; the outcome is counted."""
        try:
            async with asyncio.timeout(SECONDS):
                if self._stream is None:
                    self._stream = await asyncio.open_unix_connection(str(self.front))
                    self.connections += 1
                status, body = await self._ask(*self._stream, path)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.failures.append(repr(error))
            self.close()
            return
        if status == "200":
            self.answers[body] += 1
            self.times.append(asyncio.get_running_loop().time())
        else:
            self.failures.append(status)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[str, str]:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: web\r\n\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in head else 0
        return head.split(" ")[1], (await reader.readexactly(length)).decode()

    def close(self) -> None:
        if self._stream is not None:
            self._stream[1].transport.abort()
            self._stream = None


@contextlib.asynccontextmanager
async def load(front: Path, clients: int) -> AsyncIterator[list[Client]]:
    """Clients that ask without a pause until the block ends."""
    crowd = [Client(front) for _ in range(clients)]
    ending = asyncio.Event()

    async def ask(client: Client) -> None:
        while not ending.is_set():
            await client.get()

    try:
        async with asyncio.TaskGroup() as group:
            for client in crowd:
                group.create_task(ask(client))
            try:
                yield crowd
            finally:
                ending.set()
    finally:
        for client in crowd:
            client.close()
