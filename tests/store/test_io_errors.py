"""A disk that fails at any call: what was acknowledged stays, what is unknown is said, and nothing goes on after."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from bluegreen.errors import AppendUnknown, JournalBroken, NotWritten, StoreError
from bluegreen.store.ballast import BALLAST_BYTES, PIECE_BYTES
from bluegreen.store.sqlite import SqliteStore
from tests.store.disk import Disk, never
from tests.store.test_sqlite import a_record, reopened

pytestmark = pytest.mark.slow

CALLS = {
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
}


class Failing:
    """Fails at the n-th call of a name, from 0, and at every one after it (or only at that one)."""

    def __init__(self, call: str, code: int, nth: int = 0, *, once: bool = False) -> None:
        self.call, self.code, self.nth, self.once, self.seen, self.failed = call, code, nth, once, 0, 0

    def __call__(self, call: str, file: str) -> int | None:
        if call != self.call:
            return None
        self.seen += 1
        due = self.seen == self.nth + 1 if self.once else self.seen > self.nth
        self.failed += due
        return self.code if due else None


async def refused(store: SqliteStore) -> StoreError | None:
    """Why it does not open; closed again where it does."""
    try:
        await store.open("test")
    except StoreError as error:
        return error
    await store.close()
    return None


async def a_journal(directory: Path, entries: int = 3) -> list[str]:
    """A journal on a disk that is well; gives its hashes."""
    store = await reopened(directory)
    written = [entry.hash for n in range(entries) for entry in await store.append("web", n, [a_record(n)])]
    await store.close()
    return written


async def hashes(directory: Path) -> list[str]:
    """What the next start reads, on a disk that is well again."""
    store = await reopened(directory)
    found = [entry.hash for entry in await store.read()]
    await store.close()
    return found


@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
@pytest.mark.parametrize("call", CALLS)
async def test_whichever_call_fails_nothing_acknowledged_is_lost_and_the_unknown_is_said(
    tmp_path: Path, call: str, once: bool, report_figures: Callable[[str], None]
) -> None:
    """Every call of a run of appends fails in turn. What the next start finds is looked at as a kill would leave it."""
    outcomes: dict[str, int] = {}
    for nth in range(200):
        directory = tmp_path / str(nth)
        acknowledged = await a_journal(directory)
        disk = Disk()
        store = SqliteStore(directory, connect=disk.connect)
        await store.open("test")
        disk.fail = failing = Failing(call, CALLS[call], nth, once=once)
        outcome = "acknowledged"
        try:
            for number in range(3, 9):
                entries = await store.append("web", number, [a_record(number)])
                acknowledged += [entry.hash for entry in entries]
        except AppendUnknown:
            outcome = "unknown"
            with pytest.raises(AppendUnknown):
                await store.append("web", len(acknowledged), [a_record(99)])
            with pytest.raises(AppendUnknown):
                await store.read()
            assert not (await store.writable()).ok
            assert store.trouble is not None
        shutil.copytree(directory, tmp_path / f"{nth}-killed")
        await store.close()
        disk.close()
        for left in (directory, tmp_path / f"{nth}-killed"):
            found = await hashes(left)
            assert found[: len(acknowledged)] == acknowledged
            assert len(found) <= len(acknowledged) + (outcome == "unknown")
        shutil.rmtree(directory)
        shutil.rmtree(tmp_path / f"{nth}-killed")
        if not failing.failed:
            break
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    else:
        pytest.fail("the run of appends has no end")
    report_figures(f"{call} fails {'once' if once else 'for good'}: {outcomes or 'never called'}")


async def test_an_append_whose_sync_failed_may_be_there_after_a_kill(tmp_path: Path) -> None:
    """Why a failed append is unknown and not "not done"."""
    acknowledged = await a_journal(tmp_path / "state")
    disk = Disk()
    store = SqliteStore(tmp_path / "state", connect=disk.connect)
    await store.open("test")
    acknowledged += [entry.hash for entry in await store.append("web", 3, [a_record(3)])]
    disk.fail = Failing("sync", CALLS["sync"])
    with pytest.raises(AppendUnknown, match="may or may not be there; the process has to end"):
        await store.append("web", 4, [a_record(4)])
    shutil.copytree(tmp_path / "state", tmp_path / "killed")
    await store.close()
    disk.close()
    assert len(await hashes(tmp_path / "killed")) == len(acknowledged) + 1


@pytest.mark.parametrize("call", ["read", "write", "sync"])
async def test_a_disk_that_fails_at_the_start_is_a_clear_error_and_changes_nothing(tmp_path: Path, call: str) -> None:
    new, old, failed = tmp_path / "new", tmp_path / "old", 0
    written = await a_journal(old)
    for directory, expected in ((new, []), (old, written)):
        for nth in range(50):
            disk = Disk(failing := Failing(call, CALLS[call], nth))
            store = SqliteStore(directory, connect=disk.connect)
            trouble = await refused(store)
            if trouble is not None:
                assert not isinstance(trouble, JournalBroken), "a disk that fails is no broken journal"
                assert "dmesg" in trouble.advice
                failed += 1
            disk.close()
            if not failing.failed:
                break
        assert await hashes(directory) == expected
    assert failed


async def test_a_journal_that_finds_no_room_at_its_first_start_is_a_clear_error(tmp_path: Path) -> None:
    disk = Disk(Failing("write", apsw.SQLITE_FULL))
    with pytest.raises(StoreError, match=r"there is no room for a journal in .*; make room"):
        await SqliteStore(tmp_path, connect=disk.connect).open("test")
    disk.close()


async def test_a_journal_that_is_not_open_takes_nothing_and_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    assert (await store.writable()).summary == "it is not open"
    with pytest.raises(StoreError, match="not open"):
        await store.append("web", 0, [a_record(0)])


async def test_a_read_that_fails_is_a_clear_error_and_ends_nothing(tmp_path: Path) -> None:
    disk = Disk()
    store = SqliteStore(tmp_path, connect=disk.connect)
    await store.open("test")
    large = [replace(a_record(number), reason="x" * 100_000) for number in range(40)]  # more than SQLite keeps at hand
    written = await store.append("web", 0, large)
    disk.fail = Failing("read", CALLS["read"])
    with pytest.raises(StoreError, match="cannot be read") as trouble:
        await store.read()
    assert "dmesg" in trouble.value.advice
    disk.fail = never
    assert await store.read() == written
    assert await store.append("web", 40, [a_record(40)])
    await store.close()
    disk.close()


async def test_an_append_that_finds_no_room_takes_a_piece_of_the_ballast(tmp_path: Path) -> None:
    disk = Disk()
    store = SqliteStore(tmp_path, connect=disk.connect)
    await store.open("test")
    ballast = tmp_path / "ballast"
    assert ballast.stat().st_size == BALLAST_BYTES
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES, "room that is not allocated is no room"
    assert ballast.stat().st_mode & 0o777 == 0o600
    disk.fail = Failing("write", apsw.SQLITE_FULL, once=True)
    (entry,) = await store.append("web", 0, [a_record(0)])
    assert ballast.stat().st_size == BALLAST_BYTES - PIECE_BYTES, "where it is needed again, there is more of it"
    await store.close()
    disk.close()
    assert await hashes(tmp_path) == [entry.hash]
    assert ballast.stat().st_size == BALLAST_BYTES, "the next start, with room, makes it whole"


async def test_an_append_that_finds_no_room_at_all_surely_left_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    disk = Disk()
    store = SqliteStore(tmp_path, connect=disk.connect)
    await store.open("test")
    await store.append("web", 0, [a_record(0)])
    disk.fail = Failing("write", apsw.SQLITE_FULL)
    for _ in range(2):
        with pytest.raises(NotWritten, match="is full: nothing was written; make room"):
            await store.append("web", 1, [a_record(1)])
    assert not (tmp_path / "ballast").exists(), "all of it was tried"
    assert [entry.seq for entry in await store.read()] == [1]
    disk.fail = never
    await store.append("web", 1, [a_record(1)])
    assert not (tmp_path / "ballast").exists()
    assert (await store.writable()).ok, "a look finds that there is room again"
    assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES
    await store.close()
    disk.close()
    assert len(await hashes(tmp_path)) == 2


async def test_an_append_that_finds_no_room_and_cannot_be_rolled_back_is_unknown(tmp_path: Path) -> None:
    class Stuck(sqlite3.Connection):
        """Keeps its transaction."""

        def execute(self, sql, *values):
            if sql in ("COMMIT", "ROLLBACK"):
                error = sqlite3.OperationalError(f"{sql} failed")
                error.sqlite_errorcode = apsw.SQLITE_FULL
                raise error
            return super().execute(sql, *values)

    ready = await reopened(tmp_path)
    await ready.close()
    path = tmp_path / "journal.sqlite"
    store = SqliteStore(tmp_path, connect=lambda _: sqlite3.connect(path, isolation_level=None, factory=Stuck))
    await store.open("test")
    with pytest.raises(AppendUnknown):
        await store.append("web", 0, [a_record(0)])
    await store.close()
