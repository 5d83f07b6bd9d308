"""The doors under pressure: who floods one of them keeps no operator from coming in by the other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bluegreen.control.doors import CONNECTIONS_MAX, IDLE_SECONDS
from bluegreen.control.problems import BODY_SECONDS
from tests.acceptance.operator import Daemon, Operator, running
from tests.programs import until
from tests.test_daemon import laid_out

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

HALF = b"GET /v1/services HTTP/1.1\r\nHost: d\r\nX-Slow: "
TOKEN = {"Authorization": "Bearer a secret"}


@dataclass
class House:
    """A daemon with both doors."""

    daemon: Daemon
    operator: Operator
    port: int

    async def latency(self, seconds: float) -> float:
        """The longest that the operator waits for a document, asking again and again for so long."""
        loop, longest = asyncio.get_running_loop(), 0.0
        ends = loop.time() + seconds
        while loop.time() < ends:
            began = loop.time()
            await self.operator.look()
            longest = max(longest, loop.time() - began)
        return longest


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    more = f', http: "127.0.0.1:{port}", tokens: {{ci: "${{env:CI_TOKEN}}"}}'
    config = laid_out(tmp_path, wait="1s", daemon=more)
    async with running(config, tmp_path / "c.sock", {"CI_TOKEN": "a secret"}) as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        yield House(daemon, operator, port)


async def test_hundreds_of_half_sent_requests_are_closed_in_time_and_the_operator_goes_on(
    house: House, report_figures: Callable[[str], None]
) -> None:
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for _ in range(CONNECTIONS_MAX + 200):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            stack.callback(writer.close)
            writer.write(HALF)
            streams.append((reader, writer))
        await house.operator.deploy("v2")
        longest = await house.latency(2)
        late, writer = await asyncio.open_connection("127.0.0.1", house.port)
        stack.callback(writer.close)
        told = await asyncio.wait_for(answer(late), 90)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections at this door" in told
        await house.operator.ended("completed")
        async with asyncio.timeout(IDLE_SECONDS + 90), asyncio.TaskGroup() as group:
            drip = group.create_task(dripping([writer for _, writer in streams]))
            for reader, _ in streams:
                await answer(reader)
            drip.cancel()
        took = time.monotonic() - began
        async with (
            aiohttp.ClientSession(headers=TOKEN) as session,
            session.get(f"http://127.0.0.1:{house.port}/v1/services") as response,
        ):
            assert response.status == 200, "there is room again"
    report_figures(f"{len(streams)} half-sent requests: closed after {took:.1f} s, operator {longest * 1000:.0f} ms")
    assert longest < 60, "kept out until the half-sent ones are closed, and then some"


async def answer(reader: asyncio.StreamReader) -> bytes:
    """All that comes before the end, or before the reset that a byte too many is answered by."""
    told = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65536):
            told += part
    return bytes(told)


async def dripping(writers: list[asyncio.StreamWriter]) -> None:
    """A byte a second keeps no request alive."""
    while True:
        for writer in writers:
            if not writer.transport.is_closing():
                writer.write(b"x")
        await asyncio.sleep(1)


async def test_a_body_that_drips_is_given_up(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    head = "POST /v1/services/web/deployments HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer a secret\r\n"
    writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode())
    began = time.monotonic()
    drip = asyncio.create_task(dripping([writer]))
    told = await asyncio.wait_for(answer(reader), BODY_SECONDS + 90)
    drip.cancel()
    writer.transport.abort()
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come in time" in told
    assert time.monotonic() - began > BODY_SECONDS - 0.5
    assert (await house.operator.look())["switch"] is None


async def test_a_flood_of_requests_does_not_keep_the_operator_out(
    house: House, report_figures: Callable[[str], None]
) -> None:
    counted = 0

    async def flood(session: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        nonlocal counted
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{house.port}/v1/services", headers=headers) as response:
                    await response.read()
                    counted += 1

    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(connector=connector) as session:
        floods = [asyncio.create_task(flood(session, TOKEN if n % 2 else {})) for n in range(50)]
        await house.operator.deploy("v2")
        longest = await house.latency(3)
        await house.operator.ended("completed")
        await until(lambda: counted > 100)
        for one in floods:
            one.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    report_figures(f"{counted} requests at TCP meanwhile: operator {longest * 1000:.0f} ms at the longest")
    assert longest < 60, "kept out for as long as the flood lasts"
