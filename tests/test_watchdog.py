"""A blocked event loop ends its process, with the stacks; a process that was only stopped for a while goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bluegreen.core import events as ev
from bluegreen.errors import ExitCode
from bluegreen.store.sqlite import SqliteStore
from tests.acceptance.operator import Operator, running, split
from tests.test_daemon import laid_out

LIMIT = 5.0
"""The shortest that a configuration may ask for."""
WATCHED = """
import asyncio, sys, time
from bluegreen.watchdog import watched

async def main():
    with watched({seconds}, "It goes on."):
        print("watched", flush=True)
        {body}
    print("unwatched", flush=True)
    {after}

asyncio.run(main())
"""


def watching(seconds: float, body: str, after: str = "pass", stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A process with a watched loop that does `body`; it has begun."""
    program = WATCHED.format(seconds=seconds, body=body, after=after)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "watched\n"
    return process


def the_rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it says until its end; a part of it may have been read along with the first line."""
    assert process.stdout is not None
    assert process.stderr is not None
    told = (process.stdout.read(), process.stderr.read())
    process.communicate(timeout=90)
    return told


def test_a_blocked_loop_ends_the_process_with_the_stack_that_blocks_it() -> None:
    process = watching(0.4, "time.sleep(60)")
    _, told = process.communicate(timeout=90)
    assert process.returncode == ExitCode.BLOCKED
    assert re.search(r"blocked for 0\.4 s: this process \(pid \d+\) ends itself with 75", told)
    assert "Traffic stays as it is. It goes on." in told
    assert 'File "<string>", line 8 in main' in told, "where it is blocked"
    assert told.count("most recent call first") >= 2, "all threads"


@pytest.mark.slow
def test_a_loop_that_is_busy_but_turns_is_left_alone() -> None:
    process = watching(1.0, "[await asyncio.sleep(0) for _ in range(40) if not time.sleep(0.05)]")
    assert the_rest(process) == ("unwatched\n", "")
    assert process.returncode == 0


@pytest.mark.slow
def test_a_process_that_was_stopped_for_longer_than_the_limit_goes_on() -> None:
    process = watching(0.6, "await asyncio.sleep(60)")
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.0)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
    assert process.poll() is None
    process.kill()
    process.communicate(timeout=90)


@pytest.mark.slow
def test_nobody_who_reads_the_last_words_does_not_keep_a_blocked_process_alive() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 65536)
    os.set_blocking(write, True)
    process = watching(0.4, "time.sleep(60)", stderr=write)
    try:
        assert process.wait(timeout=90) == ExitCode.BLOCKED
    finally:
        process.kill()
        os.close(read)
        os.close(write)
        process.communicate()


@pytest.mark.slow
def test_after_its_end_nothing_is_watched() -> None:
    process = watching(1.5, "pass", after="time.sleep(2.5)")
    assert the_rest(process) == ("unwatched\n", "")
    assert process.returncode == 0


@contextlib.asynccontextmanager
async def faulty(config: Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon with failpoints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.daemon", str(config),
        env={**os.environ, **variables}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "recovered"),
    [
        ("balancer.write.before", [False]),
        ("balancer.write.after", [True]),
        ("journal.StepStarted:smoke.after", []),
        ("check.look.before", []),
    ],
)
async def test_a_daemon_whose_loop_is_blocked_ends_in_time_and_the_next_one_recovers(
    tmp_path: Path, point: str, recovered: list[bool], report_figures: Callable[[str], None]
) -> None:
    config = laid_out(tmp_path, daemon="}\nwatchdog: 5s\nlog: {format: json")
    web = tmp_path / "services" / "web.yaml"
    web.write_text(web.read_text() + 'smoke: [{name: "well", command: ["true"]}]\n')
    operator = Operator(tmp_path / "c.sock", "web")
    async with faulty(config, BLUEGREEN_FAILPOINT=f"{point}=block") as blocked:
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        began = time.monotonic()
        await operator.deploy("v2")
        _, told = await asyncio.wait_for(blocked.communicate(), 120)
        took = time.monotonic() - began
        assert blocked.returncode == ExitCode.BLOCKED
    report_figures(f"blocked at {point}: ended after {took:.1f} s, the limit is {LIMIT:g} s")
    assert took > LIMIT - 1, "and blocked for good, if nobody notices"
    assert b"tests/faults/daemon.py" in told, "the stack says where"
    async with running(config, tmp_path / "c.sock") as daemon:
        document = await operator.ended("completed")
        assert split(document) == {"blue": 0, "green": 100}
        assert await daemon.end() == 0
    assert await looked_up(tmp_path / "state") == recovered


async def looked_up(state: Path) -> list[bool]:
    """Every write whose outcome was found by looking: whether it had been made."""
    store = SqliteStore(state)
    await store.open("test")
    entries = await store.read()
    await store.close()
    found = []
    for entry in entries:
        if isinstance(entry.event, ev.WeightsUnchanged):
            found.append(False)
        elif isinstance(entry.event, ev.WeightsSet) and entry.event.recovered:
            found.append(True)
    return found


@pytest.mark.slow
async def test_a_daemon_that_was_stopped_for_longer_than_its_limit_goes_on_with_its_switch(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="8s", daemon="}\nwatchdog: 5s\nlog: {format: json")
    async with running(config, tmp_path / "c.sock") as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        await operator.at("green", 50)
        assert daemon._process is not None
        daemon._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(LIMIT + 2)
        daemon._process.send_signal(signal.SIGCONT)
        await operator.ended("completed")
        assert daemon._process.returncode is None
    assert await looked_up(tmp_path / "state") == []


ALONE = """
import asyncio, sys, time
from pathlib import Path
from bluegreen.standalone import standalone

async def main():
    async with standalone(Path(sys.argv[1])):
        time.sleep(100)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_failback_without_a_daemon_is_watched_too_and_lets_go_of_the_journal(tmp_path: Path) -> None:
    config = laid_out(tmp_path, daemon="}\nwatchdog: 5s\nlog: {format: json")
    asyncio.run(looked_up(tmp_path / "state"))  # a journal is there
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(config)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == ExitCode.BLOCKED
    assert "looked up by the next failback, or the daemon" in done.stderr
    asyncio.run(looked_up(tmp_path / "state"))
