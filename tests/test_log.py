"""A log that nobody takes, and a manager that nobody hears: nothing waits for them, and what was lost is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bluegreen.log import QUEUE_MAX, STOP_SECONDS
from tests.acceptance.operator import Operator
from tests.test_daemon import laid_out

MANY = QUEUE_MAX + 5_000
FLOOD = f"""
import sys, time, structlog
from bluegreen.log import set_up
lines = set_up("json", "info")
log = structlog.get_logger("bluegreen.test")
longest = 0.0
for number in range({MANY}):
    began = time.perf_counter()
    log.info("line", number=number)
    longest = max(longest, time.perf_counter() - began)
print(longest, flush=True)
seconds = float(sys.stdin.readline())
began = time.perf_counter()
stopped = lines.stop(seconds)
print(stopped, time.perf_counter() - began, flush=True)
import os
os._exit(0)
"""


@pytest.fixture
def flooded() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", FLOOD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def answer(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def end(process: subprocess.Popen[str], seconds: float) -> None:
    """It ends now, and waits for its lines for so long."""
    assert process.stdin is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()


def test_lines_that_nobody_takes_are_counted_and_said_in_a_line_of_its_own(
    flooded: subprocess.Popen[str], report_figures: Callable[[str], None]
) -> None:
    (longest,) = answer(flooded)
    report_figures(f"the longest that a blocked log held up its caller: {float(longest) * 1000:.1f} ms")
    assert float(longest) < 5, "nobody reads for as long as this test likes"
    assert flooded.stderr is not None
    numbers: list[int] = []
    dropped = 0
    end(flooded, 90.0)
    for text in flooded.stderr:
        line = json.loads(text)
        if "dropped" in line:
            assert (line["event"], line["level"]) == ("log lines were dropped: nobody took them", "warning")
            dropped += line["dropped"]
        else:
            numbers.append(line["number"])
    assert answer(flooded)[0] == "True"
    assert numbers == sorted(set(numbers))
    assert dropped > 0
    assert len(numbers) + dropped == MANY


@pytest.mark.slow
def test_the_end_does_not_wait_for_a_reader_that_takes_nothing(flooded: subprocess.Popen[str]) -> None:
    answer(flooded)
    end(flooded, STOP_SECONDS)
    stopped, _ = answer(flooded)
    assert stopped == "False", "and it would wait for good"


@contextlib.contextmanager
def stopped_reader(read: int) -> Iterator[subprocess.Popen[bytes]]:
    """A reader of the pipe that is stopped."""
    reader = subprocess.Popen(["cat"], stdin=read, stdout=subprocess.DEVNULL)
    reader.send_signal(signal.SIGSTOP)
    yield reader
    reader.kill()
    reader.wait()


@pytest.mark.slow
async def test_a_switch_completes_and_the_daemon_ends_in_time_though_its_log_is_stuck(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    config = laid_out(tmp_path, wait="500ms")
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen", "serve", "--config", str(config), stderr=write, stdout=write
    )
    operator = Operator(tmp_path / "c.sock", "web")
    try:
        with stopped_reader(read):
            await operator.until(lambda seen: seen["live"] == "blue", "who is live")
            await operator.deploy("v2")
            await operator.at("green", 50)
            fill(write)  # in the middle of the switch
            await operator.ended("completed")
            await operator.deploy("v3", replace_warm=True)
            await operator.ended("completed")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 90) == 0
            took = time.monotonic() - began
        report_figures(f"the end of a daemon whose log is stuck: {took:.1f} s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(read)
        os.close(write)


def fill(write: int) -> None:
    """Until nothing more fits into the pipe."""
    own = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)  # the daemon's own end stays a blocking one
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(own, b"x" * size)
    os.close(own)


@pytest.mark.slow
async def test_a_manager_that_hears_nothing_holds_up_nothing(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="0s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify.sock"))
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify.sock"), "WATCHDOG_USEC": "30000"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "serve", "--config", str(config),
            env={**os.environ, **variables}, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        for number in range(3):
            await operator.deploy(f"v{number}", replace_warm=True)
            await operator.ended("completed")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 90) == 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another:
            another.setblocking(False)
            another.connect(str(tmp_path / "notify.sock"))
            with pytest.raises(BlockingIOError):  # its queue is full: what the daemon said last went nowhere
                another.send(b"one more")
