"""What a check meets on a bad day: certificates that do not hold, output and bodies without end, unknown names."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import resource
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from bluegreen.checks.common import ANSWER_BYTES_MAX
from tests.checks.certificates import Authority
from tests.checks.servers import answering, look, scene, serving

pytestmark = pytest.mark.slow

ASKED = """
import asyncio, json, sys
from tests.checks.servers import look, scene

async def main():
    findings = [await look(scene(url), http="{url}/") for url in sys.argv[1:]]
    print(json.dumps([[one.ok, one.summary] for one in findings]))

asyncio.run(main())
"""


async def looked_at(authority: Path, *urls: str) -> list[tuple[bool, str]]:
    """What a process that trusts the authority finds: trust is read once, at the start of a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKED, *urls,
        env={**os.environ, "SSL_CERT_FILE": str(authority)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    return [(ok, summary) for ok, summary in json.loads(told)]


async def test_a_certificate_holds_only_for_its_host_and_its_time(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    contexts = (
        authority.server("127.0.0.1"),
        authority.server("127.0.0.1", timedelta(hours=-1)),
        authority.server("elsewhere.example"),
    )
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(answering("fine"), context)) for context in contexts]
        good, expired, elsewhere = await looked_at(authority.file, *urls)
    assert good[0], good
    assert not expired[0]
    assert "certificate has expired" in expired[1]
    assert not elsewhere[0]
    assert "IP address mismatch" in elsewhere[1]


async def test_a_small_body_that_unpacks_to_a_huge_one_is_bounded() -> None:
    bomb = gzip.compress(b"\0" * (400 * ANSWER_BYTES_MAX))

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(handler) as url:
        finding = await look(scene(url), http="{url}/", timeout="20s")
    assert not finding.ok
    assert "the body is larger than 1024 KiB" in finding.summary
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB, of 400 MiB


async def test_a_head_without_end_is_not_read_to_its_end() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
                await writer.drain()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    finding = await look(scene(f"http://127.0.0.1:{port}"), http="{url}/")
    server.close()
    assert not finding.ok
    assert len(finding.summary) < 1500


@pytest.mark.parametrize("printed", ["yes", "cat /dev/urandom"])
async def test_a_command_that_prints_without_end_is_bounded_in_memory_and_time_and_holds_up_nobody(
    printed: str, report_figures: Callable[[str], None]
) -> None:
    loop = asyncio.get_running_loop()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest, beats = 0.0, 0

    async def beating() -> None:
        nonlocal longest, beats
        while True:
            began = loop.time()
            await asyncio.sleep(0.01)
            longest, beats = max(longest, loop.time() - began), beats + 1

    async with asyncio.TaskGroup() as group:
        beat = group.create_task(beating())
        finding = await look(command=["/bin/sh", "-c", printed], timeout="1s")
        beat.cancel()
    report_figures(f"`{printed}` for a second: the loop was held up for {longest * 1000:.0f} ms at the longest")
    assert not finding.ok
    assert "its time is 1 s" in finding.summary
    assert beats >= 10, "a loop that is held up for the second of the command beats once"
    assert sum(map(len, finding.detail.values())) < 5000
    assert json.loads(json.dumps(dict(finding.detail))) == finding.detail
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


async def test_a_name_that_nobody_knows_is_told() -> None:
    for finding in (
        await look(http="http://nobody.invalid/"),
        await look(tcp="nobody.invalid:80"),
        await look(prometheus={"url": "http://nobody.invalid", "query": "up", "min": 1}),
    ):
        assert not finding.ok
        assert "nobody.invalid" in finding.summary
