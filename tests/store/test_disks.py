"""Real disks that are full, read-only or broken under a real daemon: it can be read, and the way back stays open."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import BlueGreenError, NotWritten
from bluegreen.store.ballast import BALLAST_BYTES
from bluegreen.store.sqlite import SqliteStore
from tests.acceptance.operator import split
from tests.programs import until
from tests.store.disks import Disk, Host, host, mounted
from tests.store.test_sqlite import a_record, reopened

pytestmark = pytest.mark.slow


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with mounted(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Disk]:
    with mounted("ext4", tmp_path) as found:
        yield found


def whole(disk: Disk) -> bool:
    """Whether the ballast is all there."""
    path = disk.path / "state" / "ballast"
    return path.exists() and path.stat().st_size == BALLAST_BYTES


def ails(store: SqliteStore) -> str:
    """What ails it, as of its last append or look."""
    return store.trouble.summary if store.trouble else ""


async def in_mid_shift(on: Host) -> None:
    """A daemon, and a deployment that moves traffic."""
    await on.daemon.start()
    await on.operator.until(lambda seen: seen["live"] == "blue", "who is live")
    await on.operator.deploy("v2")
    await on.operator.at("green", 20)


async def refused(on: Host, asked: Callable[[], Any]) -> BlueGreenError:
    """The problem document that a request gets."""
    with pytest.raises(BlueGreenError) as problem:
        await asked()
    return problem.value


async def test_a_full_disk_halts_a_deployment_and_leaves_the_failback_possible(
    disk: Disk, tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    async with host(disk, tmp_path) as on:
        await in_mid_shift(on)
        assert whole(disk)
        disk.fill()
        seen = await on.operator.ended("halted")
        assert seen["switch"]["halt"]["cause"] == "disk_full"
        assert "the ballast was spent" in seen["switch"]["halt"]["summary"]
        assert "make room" in seen["switch"]["halt"]["advice"]
        assert seen["journal"]["summary"].startswith(f"the disk of {disk.path / 'state'} is full")
        code, ready = await on.ready()
        assert (code, ready["ready"], ready["journal"]["ok"]) == (503, False, False)
        at_halt = split(seen)
        assert at_halt == await on.shown(), "the journal says what the balancer shows"
        await on.operator.failback("the disk is full")
        seen = await on.operator.ended("completed")
        assert split(seen) == await on.shown() == {"blue": 100, "green": 0}
        left = (disk.path / "state" / "ballast").stat().st_size
        report_figures(f"halt at {at_halt}; {left >> 10} of {BALLAST_BYTES >> 10} KiB of the ballast left")
        await on.operator.deploy("v3")
        assert (await on.operator.ended("halted"))["switch"]["halt"]["cause"] == "disk_full"
        assert split(seen) == await on.shown()

        await until(lambda: "nothing but a failback goes on" in on.log())
        disk.empty()
        await on.operator.until(lambda seen: seen["journal"] is None, "that there is room again")
        assert whole(disk)
        await on.operator.post("resume")
        assert split(await on.operator.ended("completed")) == await on.shown() == {"blue": 0, "green": 100}
        await until(lambda: "all is well again" in on.log())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_daemon_that_starts_on_a_full_disk_can_be_read_and_fails_back(
    disk: Disk, tmp_path: Path, number: int
) -> None:
    async with host(disk, tmp_path) as on:
        await in_mid_shift(on)
        disk.fill()
        before = await on.operator.ended("halted")
        await on.daemon.end(number)
        disk.fill()  # what the end has set free
        await on.daemon.start()
        seen = await on.operator.look()
        assert seen["switch"]["halt"] == before["switch"]["halt"]
        assert split(seen) == await on.shown()
        await on.operator.failback("the disk is full")
        assert split(await on.operator.ended("completed")) == await on.shown() == {"blue": 100, "green": 0}


async def failback_alone(on: Host, *more: str) -> tuple[int | None, str]:
    """The operator's command, without a daemon and a terminal: how it ended, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen", "--config", str(on.config), "failback", "web", "--yes", "--reason",
        "the disk is full", *more, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_a_failback_without_a_daemon_finds_room_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    async with host(disk, tmp_path) as on:
        await in_mid_shift(on)
        disk.fill()
        await on.operator.ended("halted")
        await on.daemon.end(signal.SIGKILL)
        disk.fill()
        code, out = await failback_alone(on)
        assert code == 0, out
        assert await on.shown() == {"blue": 100, "green": 0}
        await on.daemon.start()
        seen = await on.operator.look()
        assert (seen["live"], seen["switch"]["kind"], seen["switch"]["reason"]) == (
            "blue",
            "failback",
            "the disk is full",
        )


async def test_a_program_that_fills_every_byte_that_becomes_free_does_not_take_the_failbacks_room(
    disk: Disk, tmp_path: Path
) -> None:
    async with host(disk, tmp_path) as on:
        await in_mid_shift(on)
        with disk.runaway():
            assert (await on.operator.ended("halted"))["switch"]["halt"]["cause"] == "disk_full"
            await on.operator.failback("the disk is full")
            assert split(await on.operator.ended("completed")) == await on.shown() == {"blue": 100, "green": 0}


async def test_without_any_room_the_daemon_stands_still_can_be_read_and_goes_on_when_there_is(
    disk: Disk, tmp_path: Path
) -> None:
    """Nothing can be written down, not even a halt: so nothing moves. Killed and started again, it is the same."""
    async with host(disk, tmp_path) as on:
        await in_mid_shift(on)
        (disk.path / "state" / "ballast").unlink()
        disk.fill()
        await on.operator.until(lambda seen: seen["journal"] is not None, "that the journal takes nothing")
        for life in ("first", "second"):
            held = await on.shown()
            assert 20 <= held["green"] < 100
            problem = await refused(on, lambda: on.operator.post("pause"))
            assert "is full: nothing was written" in problem.what
            assert "make room" in problem.advice
            assert await on.shown() == held, "nothing moves"
            assert (await on.operator.look())["switch"]["condition"] == "running"
            assert "journal=ailing" in status(on)
            if life == "first":
                await on.daemon.end(signal.SIGKILL)
                await on.daemon.start()
        disk.empty()
        seen = await on.operator.ended("completed")
        assert split(seen) == await on.shown() == {"blue": 0, "green": 100}


def status(on: Host) -> str:
    """What a script is told."""
    done = subprocess.run(
        [sys.executable, "-m", "bluegreen", "--socket", str(on.directory / "c.sock"), "status", "web"],
        capture_output=True, text=True, check=True, timeout=90, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    return done.stdout


async def test_a_store_on_a_read_only_disk_reads_and_refuses(ext4: Disk) -> None:
    store = await reopened(ext4.path / "state")
    written = await store.append("web", 0, [a_record(0)])
    ext4.stop_for_an_error()
    for _ in range(2):
        with pytest.raises(NotWritten, match="is read-only: nothing was written; see `dmesg`"):
            await store.append("web", 1, [a_record(1)])
    assert await store.read() == written
    assert "is read-only" in (await store.writable()).summary
    await store.close()


async def test_a_store_on_a_full_disk_says_what_is_left_of_its_ballast(disk: Disk) -> None:
    store = await reopened(disk.path / "state")
    disk.fill()
    assert not ails(store), "all of the ballast is there"
    assert "0 MiB free in" in (await store.writable()).summary, "but no deployment starts"
    for number in range(20):
        await store.append("web", number, [a_record(number)])
    assert "0 MiB free, and the ballast was spent (16128 of 16384 KiB left)" in ails(store)
    assert (await store.writable()).summary == ails(store)
    assert len(await store.read()) == 20
    disk.empty()
    assert (await store.writable()).ok
    assert whole(disk)
    await store.close()


async def test_a_disk_that_became_read_only_leaves_the_daemon_readable(ext4: Disk, tmp_path: Path) -> None:
    async with host(ext4, tmp_path) as on:
        await in_mid_shift(on)
        ext4.stop_for_an_error()
        await on.operator.until(lambda seen: seen["journal"] is not None, "that the journal takes nothing")
        held = await on.shown()
        problem = await refused(on, lambda: on.operator.post("pause"))
        assert "is read-only: nothing was written" in problem.what
        assert "dmesg" in problem.advice
        seen = await on.operator.look()
        assert seen["switch"]["condition"] == "running"
        assert "journal=ailing" in status(on)
        assert await on.shown() == held, "nothing moves"


async def test_on_a_read_only_disk_a_failback_goes_by_the_card_and_its_receipt_to_the_terminal(
    ext4: Disk, tmp_path: Path
) -> None:
    async with host(ext4, tmp_path) as on:
        await in_mid_shift(on)
        ext4.stop_for_an_error()
        await on.daemon.end(signal.SIGKILL)
        card = ext4.path / "state" / "cards" / "web.json"
        code, out = await failback_alone(on, "--card", str(card))
        assert code == 0, out
        assert await on.shown() == {"blue": 100, "green": 0}
        assert out.count("RECEIPT ") > 3, "there is nowhere else"
        assert "cannot be written" in out


@pytest.mark.parametrize("call", ["sync", "write"])
async def test_a_disk_that_fails_ends_the_process_and_the_next_one_looks(
    tmp_path: Path, call: str, report_figures: Callable[[str], None]
) -> None:
    trigger = tmp_path / "fail"
    plain = Disk(tmp_path)
    variables = {"BLUEGREEN_DISK_FAILS": f"{call}={trigger}"}
    async with host(plain, tmp_path, "tests.store.failing_daemon", variables) as on:
        await in_mid_shift(on)
        trigger.touch()
        assert await on.daemon.wait() == 8, "the outcome is unknown: read before you do anything"
        assert "may or may not be there" in on.log()
        held = await on.shown()
        trigger.unlink()
        await on.daemon.start()
        seen = await on.operator.ended("completed")
        assert split(seen) == await on.shown() == {"blue": 0, "green": 100}
        report_figures(f"{call} failed at green {held['green']}%: exit 8, then completed")
