"""The doors of the control endpoint: the unix socket, and TCP where it is configured. Opening, closing, and limits.

Each door has a server and limits of its own: a flood at TCP does not keep an operator from coming in by the socket.
Who comes in, and what is done then, is for `identity` and `app`.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from bluegreen.config.schema import Control
from bluegreen.control.app import build_app
from bluegreen.control.exchange import Door
from bluegreen.errors import BlueGreenError

CONNECTIONS_MAX = 128
"""At each door: whoever comes then is told so, and closed. Of a process that may open few files each door has a
quarter: the rest is for the journal, the balancers and the checks."""
IDLE_SECONDS = 15.0
"""How long a connection may take for the head of a request, its first one or its next."""
LINGER_SECONDS = 1.0
"""How long the rest of a body that nobody wants is read."""
CLOSE_SECONDS = 1.0
"""How long the doors wait, at the end, for requests that are being answered."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: 44\r\n\r\ntoo many connections at this door; try again"
)


@contextlib.asynccontextmanager
async def doors(door: Door, control: Control) -> AsyncIterator[None]:
    """Open from here to the end. Raises BlueGreenError where one cannot be opened."""
    path = _free_socket(Path(control.socket))
    async with contextlib.AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        try:
            admit = await _admitting(door, stack)
            where = control.socket
            server: asyncio.Server = await loop.create_unix_server(admit, str(path))
            stack.callback(path.unlink, missing_ok=True)
            stack.callback(server.close)
            path.chmod(int(control.mode, 8))
            if control.http is not None:
                where = control.http
                host, _, port = control.http.rpartition(":")
                admit = await _admitting(door, stack)
                server = await loop.create_server(admit, host.strip("[]"), int(port))
                stack.callback(server.close)
        except OSError as error:
            raise BlueGreenError(
                f"the control endpoint cannot be opened at {where}: {error.strerror or error}",
                "another process may hold it: `ss -lptn`; or name another address under `control`",
            ) from error
        yield


async def _admitting(door: Door, stack: contextlib.AsyncExitStack) -> Callable[[], asyncio.BaseProtocol]:
    """A server of its own for one door."""
    runner = web.AppRunner(
        build_app(door),
        access_log=None,
        shutdown_timeout=CLOSE_SECONDS,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=LINGER_SECONDS,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    loop = asyncio.get_running_loop()
    most = min(CONNECTIONS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    coming = 0

    def arrived() -> None:
        nonlocal coming
        coming -= 1

    def admit() -> asyncio.BaseProtocol:
        nonlocal coming
        server = runner.server
        if server is None or len(server.connections) + coming >= most:
            return _Full()
        coming += 1
        loop.call_soon(arrived)  # from then on the server counts it
        return server()

    return admit


class _Full(asyncio.Protocol):
    """Says that there is no room, and is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - what a stream gives
        transport.write(_FULL)
        transport.close()


def _free_socket(path: Path) -> Path:
    """The path, with what a dead process left there removed. Raises where somebody answers."""
    if path.exists():
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise BlueGreenError(f"another process answers at {path}", "end it, or name another `control.socket`")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise BlueGreenError(f"{path.parent} cannot be made: {error.strerror}", "mend `control.socket`") from error
    return path
