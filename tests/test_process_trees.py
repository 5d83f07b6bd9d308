"""The end of a run: a whole tree at a time-out or a cancellation, and nothing of it otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest

from bluegreen import processes
from tests.programs import (
    alive,
    carrying,
    kill,
    needs_root,
    open_files,
    pids_in,
    python,
    sh,
    unprivileged,
    until,
    zombies,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_strangers")]

SPAWNER = """
import os, signal, sys, time
kind, file = sys.argv[1:]
def note():
    with open(file, "a") as out:
        out.write(f"{os.getpid()}\\n")
def stay():
    note()
    while True:
        time.sleep(60)
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay()
if kind == "wiped":
    note()
    os.execve("/bin/sh", ["sh", "-c", "sleep 60 & wait"], {})
if os.fork() == 0:
    if kind in ("setsid", "daemon"):
        os.setsid()
    if kind == "daemon" and os.fork() != 0:
        os._exit(0)
    stay()
stay()
"""
KINDS = ("fork", "setsid", "daemon", "deaf", "wiped")


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ignores SIGTERM is not worth two seconds of each of these tests."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.4)


async def _run(argv: list[str], timeout: float = 90.0, **rest: Any) -> processes.Finished:
    return await processes.run(argv, timeout=timeout, **rest)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_time_out_ends_the_whole_tree(kind: str, tmp_path: Path):
    done, pids = await _ended_by_its_time(kind, tmp_path)
    assert [pid for pid in pids if alive(pid)] == []
    assert _sessions() & set(pids) == set()
    assert (done.exit_code, done.timed_out) == (None, True)
    assert done.told("x").startswith("x was ended after ")
    assert done.seconds < 50, "what sleeps for a minute did not keep it"
    assert zombies() == []


async def _ended_by_its_time(kind: str, directory: Path) -> tuple[processes.Finished, list[int]]:
    """A run whose whole tree was there when its time was over: a slow machine is given more."""
    expected = 1 if kind in ("deaf", "wiped") else 2
    for seconds in (2, 8, 32):
        file = directory / f"pids-{seconds}"
        done = await _run(python(SPAWNER, kind, str(file)), timeout=seconds)
        assert f"its time is {seconds} s" in done.reason
        if len(pids := pids_in(file)) == expected:
            return done, pids
    raise AssertionError(f"the tree of {kind} was not there within {seconds} s")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_run_ends_its_tree_before_it_lets_go(kind: str, tmp_path: Path):
    file = tmp_path / "pids"
    expected = 1 if kind in ("deaf", "wiped") else 2
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_run(python(SPAWNER, kind, str(file)), timeout=60))
        await until(lambda: len(pids_in(file)) == expected)
        task.cancel()
    assert task.cancelled()
    assert [pid for pid in pids_in(file) if alive(pid)] == []
    assert zombies() == []


async def test_a_second_cancellation_does_not_hurry_the_end(tmp_path: Path):
    file, open_before = tmp_path / "pids", open_files()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_run(python(SPAWNER, "deaf", str(file)), timeout=60))
        await until(lambda: pids_in(file))
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
    assert not alive(*pids_in(file))
    assert open_files() == open_before


async def test_a_run_that_is_cancelled_at_its_start_leaves_nothing(tmp_path: Path):
    for turns in range(8):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_run(["sleep", "60"], variables={"CASE": str(tmp_path)}))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
    assert carrying(f"CASE={tmp_path}") == []
    assert zombies() == []


async def test_programs_that_fork_without_end_are_ended():
    line = "trap '' TERM; while true; do sleep 0.3 & sleep 0.01; done"
    done = await _run(sh(line), timeout=0.3)
    assert done.timed_out
    assert zombies() == []


@pytest.mark.parametrize("code", [0, 3])
async def test_what_a_program_left_in_the_background_is_left_alone(code: int, tmp_path: Path):
    line = f'(while echo alive; do sleep 0.02; done) & echo $! > "$1"; echo begun; exit {code}'
    done = await _run(sh(line, str(tmp_path / "pid")))
    (pid,) = pids_in(tmp_path / "pid")
    try:
        assert done.exit_code == code
        assert "begun\n" in done.output
        assert not done.timed_out
        await asyncio.sleep(0.2)  # ten lines into the pipe of a run that is over
        assert alive(pid)
    finally:
        kill(pid)
    await until(lambda: not alive(pid))


async def test_what_was_left_alone_blocks_on_nothing(tmp_path: Path):
    done = await _run(sh('(yes | head -c 3000000; echo > "$1") & exit 0', str(tmp_path / "done")))
    assert done.ok
    await until((tmp_path / "done").exists)


@pytest.mark.slow
async def test_orphans_are_reaped_by_the_subreaper(tmp_path: Path):
    """In a process of its own: being a subreaper cannot be taken back."""
    code = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from bluegreen import processes
from tests.programs import until, zombies

async def main():
    processes.become_subreaper()
    line = "sleep 0.5 & setsid sleep 0.5 & (setsid sh -c 'sleep 0.5 & wait' &); sleep 0.2"
    assert (await processes.run(["sh", "-c", line], timeout=60)).ok
    await until(lambda: len(zombies()) >= 2)
    await until(lambda: processes.reap() or not zombies())
    await processes.run(["sh", "-c", "(trap '' TERM; sleep 60 & setsid sleep 60 & wait) & wait"], timeout=0.2)
    assert not zombies(), zombies()
asyncio.run(main())
"""
    done = await _run([sys.executable, "-W", "error", "-c", code])
    assert done.output == ""
    assert done.ok


@needs_root
async def test_what_cannot_be_ended_is_told_with_its_number(tmp_path: Path):
    code = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from bluegreen import processes
processes.GRACE_SECONDS = 0.2
print(asyncio.run(processes.run(["setpriv", "--reuid", "0", "sleep", "77"], timeout=2)).told("deploy.sh"))
"""
    done = await _run(unprivileged(code), variables={"CASE": str(tmp_path)})
    left = carrying(f"CASE={tmp_path}")
    try:
        assert len(left) == 1
        assert done.output == (
            "deploy.sh could not be ended when its time of 2 s was over: "
            f"still running, to be ended by hand: {left[0]}\n"
        )
    finally:
        for pid in left:
            kill(pid)


async def test_without_descriptors_nothing_is_started_and_nothing_is_taken_for_ended():
    """In a process of its own, which is given back its descriptors one by one."""
    code = f"""
import asyncio, os, resource, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from bluegreen import processes
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    assert (await processes.run(["true"], timeout=60)).ok
    held, results = [], []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        processes.start_time(os.getpid())
    except OSError:
        results.append("not known")
    while not results[-1:] == [True]:
        done = await processes.run(["true"], timeout=60)
        assert done.ok or done.reason == "true cannot be started: Too many open files", done
        results.append(done.ok)
        os.close(held.pop())
    assert results[:2] == ["not known", False]
asyncio.run(main())
"""
    done = await _run([sys.executable, "-W", "error", "-c", code])
    assert done.output == ""
    assert done.ok


def _sessions() -> set[int]:
    """The sessions of everything that runs, by the pid of their first process."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                found.add(int(fields[3]))
    return found
