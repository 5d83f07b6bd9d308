"""Real servers that answer as a test wants, and the few lines that every check's test begins with."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bluegreen.aws import Sessions
from bluegreen.checks import Sources, open_check
from bluegreen.config.schema import Check
from bluegreen.model import Finding, Target
from bluegreen.ports import Scene

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def scene(url: str = "", version: str | None = "1.2.3", **values: str) -> Scene:
    """The candidate's side."""
    return Scene("web", "green", version, None, {"url": url, **values})


def config(**keys: Any) -> Check:
    """A check as it stands in a file; what is to hang is given a short time."""
    return Check.model_validate({"name": "looked-at", "timeout": "60s", **keys})


async def no_targets() -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
    """A service without switch points."""
    return {}


async def look(
    at: Scene | None = None,
    *,
    targets_seen: Callable[[], Awaitable[Mapping[str, Mapping[str, tuple[Target, ...]]]]] = no_targets,
    acceptable: bool = True,
    **keys: Any,
) -> Finding:
    """Open the check, look once, close it."""
    aws = Sessions()
    check = open_check(config(**keys), Sources(targets_seen, aws), acceptable=acceptable)
    try:
        return await check.look(at or scene())
    finally:
        await check.close()
        await check.close()
        await aws.close()


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback for every path. Gives its URL; what still hangs at the end is cut off."""
    server = web.Server(handler)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def answering(body: str = "", status: int = 200, **headers: str) -> Handler:
    """The same answer to everything."""

    async def handler(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(text=body, status=status, headers=named)

    return handler


async def hanging(_: web.Request) -> web.StreamResponse:
    """Takes the request, and never answers."""
    await asyncio.Event().wait()
    raise AssertionError
