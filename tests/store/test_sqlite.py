"""The journal's laws: durable, in order, one writer, and never believed when it was touched."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluegreen.core import events as ev
from bluegreen.core.events import Record
from bluegreen.errors import JournalBroken, Locked, StoreError, VersionConflict
from bluegreen.store.lock import Lock, read_holder
from bluegreen.store.sqlite import SqliteStore

START = datetime(2026, 1, 1, tzinfo=UTC)


def a_record(number: int, service: str = "web") -> Record:
    at = START + timedelta(seconds=number)
    return Record(f"id-{service}-{number}", at, service, None, "uid:0", ev.DriftGone(f"point-{number}"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    one = SqliteStore(tmp_path)
    await one.open("test")
    yield one
    await one.close()


async def reopened(directory: Path) -> SqliteStore:
    one = SqliteStore(directory)
    await one.open("test")
    return one


async def test_what_was_appended_is_read_back_in_order_after_a_restart(store: SqliteStore, tmp_path: Path) -> None:
    written = [*await store.append("web", 0, [a_record(1), a_record(2)]), *await store.append("web", 2, [a_record(3)])]
    await store.close()
    again = await reopened(tmp_path)
    try:
        assert tuple(written) == await again.read()
        assert [entry.version for entry in await again.read("web")] == [1, 2, 3]
    finally:
        await again.close()


async def test_services_have_streams_of_their_own_in_one_chain(store: SqliteStore) -> None:
    await store.append("web", 0, [a_record(1)])
    await store.append("api", 0, [a_record(1, "api")])
    await store.append("web", 1, [a_record(2)])
    assert [(entry.seq, entry.record.service, entry.version) for entry in await store.read()] == [
        (1, "web", 1),
        (2, "api", 1),
        (3, "web", 2),
    ]
    assert [entry.seq for entry in await store.read("web", after=1)] == [3]
    assert store.services() == ("web", "api")
    assert [entry.seq for entry in await store.read(limit=1)] == [1]


async def test_an_append_on_another_version_changes_nothing(store: SqliteStore) -> None:
    await store.append("web", 0, [a_record(1)])
    with pytest.raises(VersionConflict):
        await store.append("web", 0, [a_record(2)])
    assert len(await store.read()) == 1


async def test_a_second_store_on_the_same_directory_is_refused_and_told_who_holds_it(
    store: SqliteStore, tmp_path: Path
) -> None:
    with pytest.raises(Locked, match=r"in use by process \d+ \(test\)") as refusal:
        await SqliteStore(tmp_path).open("second")
    holder = read_holder(tmp_path / "lock")
    assert holder is not None
    assert holder.is_alive()
    assert holder.pid == refusal.value.holder


async def test_the_lock_is_free_once_its_process_was_killed(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from bluegreen.store.lock import Lock
Lock(Path({str(tmp_path / "lock")!r})).acquire("child")
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(Locked):
            Lock(tmp_path / "lock").acquire("parent")
        child.kill()
        child.wait()
        lock = Lock(tmp_path / "lock")
        lock.acquire("parent")
        lock.release()


@pytest.mark.parametrize("column", ["body", "hash"])
async def test_a_changed_entry_is_seen_at_the_next_start(store: SqliteStore, tmp_path: Path, column: str) -> None:
    await store.append("web", 0, [a_record(1), a_record(2), a_record(3)])
    await store.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute(f"UPDATE entries SET {column} = replace({column}, '2', '3') WHERE seq = 2")
    db.close()
    with pytest.raises(JournalBroken, match="the chain breaks at entry 2"):
        await reopened(tmp_path)


async def test_a_removed_entry_is_seen_at_the_next_start(store: SqliteStore, tmp_path: Path) -> None:
    await store.append("web", 0, [a_record(1), a_record(2), a_record(3)])
    await store.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("DELETE FROM entries WHERE seq = 2")
    db.close()
    with pytest.raises(JournalBroken, match="the chain breaks at entry 2"):
        await reopened(tmp_path)


async def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "journal.sqlite"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()
    before = foreign.read_bytes()
    with pytest.raises(JournalBroken, match="not a journal of bluegreen: it holds recipes"):
        await reopened(tmp_path)
    assert before == foreign.read_bytes()


async def test_a_torn_file_is_refused_with_advice(store: SqliteStore, tmp_path: Path) -> None:
    await store.append("web", 0, [a_record(number) for number in range(200)])
    await store.close()
    file = tmp_path / "journal.sqlite"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(JournalBroken, match="keep the file"):
        await reopened(tmp_path)


async def test_text_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_text("this is not a database, it is a letter\n" * 200)
    with pytest.raises(JournalBroken, match="cannot be opened as a journal"):
        await reopened(tmp_path)


async def test_a_newer_programs_journal_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    await store.append("web", 0, [a_record(1)])
    await store.close()
    from bluegreen.store.chain import GENESIS, link

    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        (body,) = db.execute("SELECT body FROM entries").fetchone()
        newer = body.replace('"schema":1', '"schema":99')
        db.execute("UPDATE entries SET body = ?, hash = ?", (newer, link(GENESIS, newer)))
    db.close()
    with pytest.raises(JournalBroken, match="newer version of bluegreen"):
        await reopened(tmp_path)


async def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        await SqliteStore(tmp_path / "file" / "state").open("test")


async def test_a_cancelled_append_is_whole_or_not_at_all(store: SqliteStore, tmp_path: Path) -> None:
    for number in range(20):
        version = len(await store.read("web"))
        task = asyncio.ensure_future(store.append("web", version, [a_record(number)]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.close()
    again = await reopened(tmp_path)
    try:
        found = await again.read()
        assert list(range(1, len(found) + 1)) == [entry.seq for entry in found]
    finally:
        await again.close()


async def test_the_journal_says_that_it_takes_writes(store: SqliteStore) -> None:
    finding = await store.writable()
    assert finding.ok, finding.summary
    assert finding.detail["directory"]


async def test_the_files_are_for_the_daemons_eyes_only(store: SqliteStore, tmp_path: Path) -> None:
    assert (tmp_path / "journal.sqlite").stat().st_mode & 0o777 == 0o600


async def test_appends_are_durable_and_quick(store: SqliteStore, report_figures: Callable[[str], None]) -> None:
    """No limit in seconds: the figures are for the reader; the law is one durable write an append."""
    loop, times = asyncio.get_running_loop(), []
    for number in range(300):
        began = loop.time()
        await store.append("web", number, [a_record(number)])
        times.append((loop.time() - began) * 1000)
    p99 = statistics.quantiles(times, n=100)[98]
    report_figures(f"journal append: p50 {statistics.median(times):.3f} ms, p99 {p99:.3f} ms over {len(times)}")
    assert len(await store.read()) == 300


def test_the_lock_of_a_dead_process_is_waited_for_while_its_orphan_is_on_its_way_out(tmp_path: Path) -> None:
    """A child between fork and exec has a copy of the lock; here one that lives for half a second."""
    program = f"""
import os, time
from pathlib import Path
from bluegreen.store.lock import Lock
Lock(Path({str(tmp_path / "lock")!r})).acquire("daemon")
if os.fork() == 0:
    time.sleep(0.5)
    os._exit(0)
print("held", flush=True)
os.kill(os.getpid(), 9)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        child.wait()
        lock = Lock(tmp_path / "lock")
        lock.acquire("next")
        lock.release()
