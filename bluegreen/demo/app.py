"""The demo's web application: `python -m bluegreen.demo.app --port P --version V --environment E`.

Plain HTTP/1.1 with kept-alive connections, standard library only: it starts in some 50 ms.
Some versions are broken on purpose, each in a way that another check of the daemon must see (see FLAWS).
On SIGTERM it finishes what is in flight and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

HEAD_SECONDS_MAX = 600.0
"""How long a connection may be idle between two requests."""

LINGER_SECONDS = 0.2
"""How long after SIGTERM a connection is still listened to: its next request may be on the wire already."""

GRACE_SECONDS = 5.0
"""How long requests in flight may take after that."""

LEAK_AFTER, LEAK_EVERY = 50, 20
"""A leaking version answers so many orders well; from then on each 20th fails, which is 5 %."""


class Flaw(StrEnum):
    """What is wrong with a version."""

    NONE = "none"
    BROKEN = "broken"  # well for the balancer, but /orders never works: a smoke check sees it before any traffic
    LEAKY = "leaky"  # well in every check without traffic, but fails under load: only a gate sees it


FLAWS = {"v3": Flaw.BROKEN, "v4": Flaw.LEAKY}


def flaw_of(version: str) -> Flaw:
    """By the table, or by the name: `v7-broken`, `v7-leaky`."""
    by_name = [flaw for flaw in (Flaw.BROKEN, Flaw.LEAKY) if version.endswith(f"-{flaw}")]
    return by_name[0] if by_name else FLAWS.get(version, Flaw.NONE)


@dataclass(slots=True)
class Shop:
    """Answers requests for one version, and counts how they went."""

    version: str
    environment: str
    served: int = 0
    failed: int = 0

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, object]]:
        """The status and the document for a path."""
        about: dict[str, object] = {"service": "shop", "version": self.version, "pid": os.getpid()}
        match path:
            case "/":
                return self._front(about)
            case "/healthz":
                return HTTPStatus.OK, about
            case "/orders" if flaw_of(self.version) is Flaw.BROKEN:
                return HTTPStatus.INTERNAL_SERVER_ERROR, {**about, "error": 'column "total" of "orders" does not exist'}
            case "/orders":
                return HTTPStatus.OK, {**about, "orders": []}
            case "/errors":
                percent = round(100 * self.failed / max(self.served, 1), 2)
                return HTTPStatus.OK, {**about, "served": self.served, "failed": self.failed, "errors_percent": percent}
        return HTTPStatus.NOT_FOUND, {**about, "error": f"no {path} here"}

    def _front(self, about: dict[str, object]) -> tuple[HTTPStatus, dict[str, object]]:
        """What the visitors of the shop ask for."""
        self.served += 1
        leaks = flaw_of(self.version) is Flaw.LEAKY and self.served > LEAK_AFTER
        if leaks and self.served % LEAK_EVERY == 0:
            self.failed += 1
            return HTTPStatus.INTERNAL_SERVER_ERROR, {**about, "error": "no free connection to the database"}
        return HTTPStatus.OK, about


@dataclass(slots=True)
class Server:
    """Serves a shop on a port of loopback until `stopping` is set."""

    shop: Shop
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    idle: set[asyncio.StreamWriter] = field(default_factory=set)
    busy: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, port: int) -> None:
        """Serve, say so, and at the end finish what is in flight. Raises OSError where the port is taken."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port, backlog=1024)
        print(f"shop {self.shop.version} ({self.shop.environment}) on port {port}, pid {os.getpid()}", flush=True)
        await self.stopping.wait()
        server.close()
        await asyncio.sleep(LINGER_SECONDS if self.idle else 0)
        for writer in list(self.idle):
            writer.close()
        if self.busy:
            await asyncio.wait(self.busy, timeout=GRACE_SECONDS)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a connection has a task")
        try:
            goes_on = True
            while goes_on:
                self.idle.add(writer)
                async with asyncio.timeout(HEAD_SECONDS_MAX):
                    head = await reader.readuntil(b"\r\n\r\n")
                self.idle.discard(writer)
                self.busy.add(task)
                goes_on = await self._one(head, reader, writer)
                self.busy.discard(task)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # the other side went away, or does not speak HTTP: the connection is all that ends
        finally:
            self.idle.discard(writer)
            self.busy.discard(task)
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; gives whether the connection goes on."""
        request, *lines = head.decode("latin-1").split("\r\n")
        method, target, protocol = request.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        goes_on = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        goes_on = goes_on and not self.stopping.is_set()
        status, document = self.shop.answer(target.partition("?")[0])
        body = json.dumps(document).encode() + b"\n"
        answer = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Version: {self.shop.version}\r\n"
            f"X-Environment: {self.shop.environment}\r\nConnection: {'keep-alive' if goes_on else 'close'}\r\n\r\n"
        )
        writer.write(answer.encode() + (b"" if method == "HEAD" else body))
        await writer.drain()
        return goes_on


async def serve(port: int, shop: Shop) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = Server(shop)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stopping.set)
    await server.run(port)


def main() -> int:
    """The command line of the application."""
    parser = argparse.ArgumentParser(prog="bluegreen.demo.app", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--environment", default="")
    given = parser.parse_args()
    try:
        asyncio.run(serve(given.port, Shop(given.version, given.environment)))
    except OSError as error:
        print(f"cannot listen on port {given.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
