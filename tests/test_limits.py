"""A host that gives no more descriptors, processes or memory: nothing is guessed at, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.control.doors import IDLE_SECONDS
from bluegreen.store.sqlite import SqliteStore
from tests.acceptance.operator import Document, Operator, running, split
from tests.test_daemon import laid_out

FEW = 48
"""Descriptors: enough to run, and far fewer than a flood takes."""

# --- what a driver says where no socket can be had ---

NO_SOCKET = """
import asyncio, resource, sys
from bluegreen.aws import Sessions, Where
from bluegreen.balancers.runtime_api import RuntimeApi
from bluegreen.errors import Unreachable

async def main():
    sessions, where = Sessions(), Where("eu-west-1", endpoint_url=f"http://{sys.argv[1]}")
    calls = {
        "haproxy": lambda: RuntimeApi(sys.argv[1], 2.0).change(["set weight web/blue 1"]),
        "elbv2": lambda: sessions.call(
            where, "elbv2", "ModifyListener", 2.0, write=True, ListenerArn="arn", DefaultActions=[]
        ),
    }
    await asyncio.gather(calls["elbv2"](), return_exceptions=True)  # everything is imported, every thread is there
    print("warm", flush=True)
    sys.stdin.readline()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    for name, call in calls.items():
        try:
            await call()
        except Unreachable as error:
            print(name, "surely not sent:", error, flush=True)

asyncio.run(main())
"""


async def test_a_write_that_got_no_socket_was_surely_not_sent() -> None:
    came: list[bytes] = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(65536))
        writer.close()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NO_SOCKET, address, env={**os.environ, **credentials},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"warm\n"
    came.clear()
    told, _ = await process.communicate(b"\n")
    listening.close()
    lines = told.decode().splitlines()
    assert [line.partition(" surely not sent: ")[0] for line in lines] == ["haproxy", "elbv2"]
    assert "Too many open files" in lines[0]
    assert came == []


# --- the daemon ---


@contextlib.asynccontextmanager
async def limited(config: Path, socket: Path, kind: int, most: int) -> AsyncIterator[None]:
    """A daemon that was started under a limit."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))  # it is inherited
    try:
        daemon = running(config, socket)
        await daemon.__aenter__()
    finally:
        resource.setrlimit(kind, before)
    try:
        yield
    finally:
        await daemon.__aexit__(None, None, None)


async def chained(state: Path) -> int:
    """How many entries there are: opening the journal verifies every one of them."""
    store = SqliteStore(state)
    await store.open("test")
    entries = await store.read()
    await store.close()
    return len(entries)


def with_tcp(directory: Path, port: int, **more: str) -> Path:
    os.environ["LIMITS_TOKEN"] = "a secret"
    return laid_out(directory, daemon=f', http: "127.0.0.1:{port}", tokens: {{ci: "${{env:LIMITS_TOKEN}}"}}', **more)


@pytest.mark.slow
async def test_with_few_descriptors_a_flood_does_not_keep_the_operator_out_and_a_switch_goes_on(tmp_path: Path) -> None:
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    config = with_tcp(tmp_path, port, wait="300ms")
    operator = Operator(tmp_path / "c.sock", "web")
    async with limited(config, tmp_path / "c.sock", resource.RLIMIT_NOFILE, FEW):
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2 * FEW):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(b"GET / HTTP/1.1\r\n")
            for _ in range(5):
                async with asyncio.timeout(IDLE_SECONDS / 2):  # long before the flood is sent away
                    await operator.look()
            await operator.deploy("v2")
            document = await ended(operator)
        if document["switch"]["condition"] == "halted":
            assert "Too many open files" in document["switch"]["halt"]["summary"]
            await operator.post("resume")
            document = await operator.ended("completed")
        assert split(document) == {"blue": 0, "green": 100}
    assert await chained(tmp_path / "state")


async def ended(operator: Operator) -> Document:
    """Until the last switch is over or halted."""
    over = ("halted", "completed", "aborted", "failed_back", "superseded")
    return await operator.until(lambda seen: (seen["switch"] or {}).get("condition") in over, "the switch's end")


def limit(pid: int, what: str, *before: str) -> None:
    """Set the soft limit of a process that runs."""
    subprocess.run([*before, "prlimit", f"--pid={pid}", f"{what}:"], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 1 << 20, 8 << 20, 64 << 20], ids=["0", "1 MiB", "8 MiB", "64 MiB"])
async def test_without_memory_the_daemon_dies_or_says_so_and_the_next_one_recovers(tmp_path: Path, room: int) -> None:
    config = laid_out(tmp_path, wait="300ms")
    operator = Operator(tmp_path / "c.sock", "web")
    async with running(config, tmp_path / "c.sock") as daemon:
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        assert daemon._process is not None
        held = int(re.findall(r"VmSize:\s+(\d+)", Path(f"/proc/{daemon._process.pid}/status").read_text())[0]) * 1024
        limit(daemon._process.pid, f"--as={held + room}")
        asked = True
        try:
            await operator.deploy("v2")
        except Exception:  # whatever a daemon without memory answers, or does not
            asked = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(8):
                await ended(operator)
        await daemon.end(9)
        await daemon.start()
        document = await operator.until(lambda seen: seen["live"] is not None, "who is live")
        if asked or document["switch"] is not None:
            document = await ended(operator)
            if document["switch"]["condition"] == "halted":
                assert document["switch"]["halt"]["cause"] in ("bug", "interrupted", "deploy_failed"), document
                await operator.post("resume")
                document = await operator.ended("completed")
            assert split(document) == {"blue": 0, "green": 100}
        assert all(point["agrees"] for point in document["switch_points"].values())
        await daemon.end()
    assert await chained(tmp_path / "state")


@pytest.mark.slow
async def test_without_processes_to_be_had_a_deployment_fails_before_it_starts(tmp_path: Path) -> None:
    began = tmp_path / "began"
    config = laid_out(tmp_path, command=f"touch {began}")
    operator = Operator(tmp_path / "c.sock", "web")
    async with unprivileged(config) as pid:
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        limit(pid, "--nproc=1", *as_nobody())
        await operator.deploy("v2")
        document = await operator.ended("halted")
        assert document["switch"]["phase"] == "deploy"
        assert (
            "cannot be started and kept on record: Resource temporarily unavailable"
            in document["switch"]["halt"]["summary"]
        )
        assert not began.exists()
        limit(pid, "--nproc=1000", *as_nobody())
        await operator.post("resume")
        await operator.ended("completed")
        assert began.exists()


NOBODY = 54321


def as_nobody() -> list[str]:
    """Makes a command another user's, for whom the kernel counts processes: it does not for root. What may be read
    stays the same, wherever the tests and their interpreter lie."""
    if os.getuid() != 0:
        return []
    rights = "+dac_override,+dac_read_search"
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        f"--inh-caps={rights}", f"--ambient-caps={rights}", f"--bounding-set=-all,{rights}",
    ]  # fmt: skip


@contextlib.asynccontextmanager
async def unprivileged(config: Path) -> AsyncIterator[int]:
    """The daemon as such a user. Gives its pid."""
    process = await asyncio.create_subprocess_exec(
        *as_nobody(), sys.executable, "-m", "bluegreen", "serve", "--config", str(config),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
