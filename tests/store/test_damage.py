"""A journal that was touched is never believed: flipped bits, cut files, other files, and what a running one loses."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.errors import AppendUnknown, JournalBroken, NotWritten, StoreError
from bluegreen.store.sqlite import SqliteStore
from tests.store.test_sqlite import a_record, reopened

pytestmark = pytest.mark.slow

ENTRIES, FLIPS = 200, 600


async def a_journal(directory: Path) -> list[str]:
    """A journal that was closed in order: one file. Gives its hashes."""
    store = await reopened(directory)
    written = await store.append("web", 0, [replace(a_record(n), reason="because " * (n % 40)) for n in range(ENTRIES)])
    await store.close()
    return [entry.hash for entry in written]


async def look(directory: Path) -> list[str] | str:
    """The hashes that the next start believes, or why it does not start."""
    store = SqliteStore(directory)
    try:
        await store.open("test")
    except JournalBroken as error:
        return f"{error.what}; {error.advice or pytest.fail('an operator is told what to do')}"
    found = [entry.hash for entry in await store.read()]
    by_service = [entry.hash for entry in await store.read("web")]
    await store.close()
    assert by_service == found, "no entry is lost on the way by its service"
    return found


def bytes_of_entries(file: Path) -> set[int]:
    """Where the texts and hashes of entries stand in the file."""
    content, found = file.read_bytes(), set[int]()
    with closing(sqlite3.connect(file)) as db:
        for text in [value for row in db.execute("SELECT body, hash FROM entries") for value in row]:
            at = content.find(text.encode())  # those that are split over pages are not found: they are not counted then
            found.update(range(at, at + len(text.encode())) if at >= 0 else ())
    return found


async def test_no_flipped_bit_changes_an_entry_unseen(tmp_path: Path, report_figures: Callable[[str], None]) -> None:
    written = await a_journal(tmp_path)
    file = tmp_path / "journal.sqlite"
    content, entries = file.read_bytes(), bytes_of_entries(file)
    chance, in_entries, seen, harmless = random.Random(1), 0, 0, 0
    for _ in range(FLIPS):
        bit = chance.randrange(len(content) * 8)
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        found = await look(tmp_path)
        in_entries += bit // 8 in entries
        if isinstance(found, str):
            seen += 1
        else:
            assert found == written, f"bit {bit} changed what is believed"
            assert bit // 8 not in entries, f"bit {bit}, in an entry, was not seen"
            harmless += 1
    report_figures(
        f"{FLIPS} bit flips over {len(content)} bytes: {in_entries} in entries, {seen} seen, {harmless} harmless"
    )
    assert in_entries > FLIPS // 2


async def test_no_flipped_bit_in_what_a_kill_left_behind_changes_an_entry(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    """A WAL's own checksums end it at the first flipped bit, as if the power had been cut before: what was written
    since is not there then, and it is the head on the card that tells. But what is there is what was written."""
    store = await reopened(tmp_path / "state")
    written = [entry.hash for n in range(ENTRIES) for entry in await store.append("web", n, [a_record(n)])]
    left, chance, shortened, refused = tmp_path / "left", random.Random(2), 0, 0
    shutil.copytree(tmp_path / "state", left)
    await store.close()
    content = (left / "journal.sqlite-wal").read_bytes()
    main = (left / "journal.sqlite").read_bytes()
    for _ in range(FLIPS // 4):
        bit = chance.randrange(len(content) * 8)
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (left / "journal.sqlite").write_bytes(main)
        (left / "journal.sqlite-wal").write_bytes(flipped)
        found = await look(left)
        refused += isinstance(found, str)
        if not isinstance(found, str):
            assert found == written[: len(found)]
            shortened += len(found) < len(written)
    report_figures(
        f"{FLIPS // 4} bit flips in the WAL of a killed process: {refused} refused, {shortened} shortened, 0 changed"
    )


async def test_a_journal_that_was_cut_off_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    await a_journal(tmp_path)
    file = tmp_path / "journal.sqlite"
    content = file.read_bytes()
    for length in (*range(4096, len(content), 4096), len(content) - 1, 100, 4095, 5000):
        file.write_bytes(content[:length])
        assert isinstance(await look(tmp_path), str), f"{length} of {len(content)} bytes were taken for all of it"


async def test_a_journal_whose_wal_was_deleted_is_never_taken_for_a_new_one(tmp_path: Path) -> None:
    """What is left is what was there at the last checkpoint, entry for entry; the head on the card tells the rest."""
    store = await reopened(tmp_path / "state")
    written = [entry.hash for n in range(20) for entry in await store.append("web", n, [a_record(n)])]
    shutil.copytree(tmp_path / "state", tmp_path / "killed")
    await store.close()
    (tmp_path / "killed" / "journal.sqlite-wal").unlink()
    found = await look(tmp_path / "killed")
    assert found == written[: len(found)]
    with closing(sqlite3.connect(tmp_path / "killed" / "journal.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (0,), "the file says by itself what it is"


async def test_a_database_without_a_table_is_no_new_journal(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("PRAGMA journal_mode=wal")
    with pytest.raises(JournalBroken, match="it holds no table"):
        await reopened(tmp_path)


async def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").touch()
    assert await look(tmp_path) == []


async def test_an_entry_in_anothers_place_is_seen_even_where_the_chain_was_mended(tmp_path: Path) -> None:
    await a_journal(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("UPDATE entries SET service = 'api', version = 1 WHERE seq = 200")
        db.commit()
    with pytest.raises(JournalBroken, match="entry 200 is not the one that belongs here"):
        await reopened(tmp_path)


async def test_an_entry_that_is_no_entry_is_refused(tmp_path: Path) -> None:
    from bluegreen.store.chain import GENESIS, link

    await a_journal(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("UPDATE entries SET body = '{}', hash = ? WHERE seq = 1", (link(GENESIS, "{}"),))
        db.commit()
    with pytest.raises(JournalBroken, match="cannot be read: 'schema'"):
        await reopened(tmp_path)


async def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    """Nothing is read by it, but SQLite would refuse an entry for it at any moment."""
    await a_journal(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("PRAGMA writable_schema=ON")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex%'").fetchone()
    content = bytearray((tmp_path / "journal.sqlite").read_bytes())
    page = (root - 1) * 4096
    at = content.index(b"web", page)
    content[at : at + 3] = b"wec"
    (tmp_path / "journal.sqlite").write_bytes(content)
    with pytest.raises(JournalBroken, match="is damaged"):
        await reopened(tmp_path)


async def test_an_entry_that_changes_on_the_disk_of_a_running_daemon_is_not_given_out(tmp_path: Path) -> None:
    store = await reopened(tmp_path)
    large = [replace(a_record(number), reason="x" * 100_000) for number in range(60)]  # more than SQLite keeps at hand
    await store.append("web", 0, large)
    await store.close()
    store = await reopened(tmp_path)
    fd = os.open(tmp_path / "journal.sqlite", os.O_RDWR)  # never closed while the store lives: that would drop its lock
    content = os.pread(fd, 1 << 24, 0)
    os.pwrite(fd, b"y", content.index(b"xxxxxxxx") + 2000)
    with pytest.raises(JournalBroken, match=r"entry \d+ of the journal is no longer what was written"):
        await store.read()
    await store.close()
    os.close(fd)


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
async def test_an_append_to_a_file_that_is_no_longer_there_is_refused(tmp_path: Path, name: str) -> None:
    """It would be acknowledged, and be gone with the process."""
    store = await reopened(tmp_path)
    await store.append("web", 0, [a_record(0)])
    (tmp_path / name).rename(tmp_path / "away")
    with pytest.raises(NotWritten, match="was moved, replaced or deleted"):
        await store.append("web", 1, [a_record(1)])
    (tmp_path / name).touch()
    assert "was moved" in (await store.writable()).summary
    assert store.trouble is not None
    (tmp_path / "away").replace(tmp_path / name)
    await store.append("web", 1, [a_record(1)])
    assert (await store.writable()).ok
    await store.close()
    assert len(await look(tmp_path)) == 2


async def test_a_journal_that_another_program_holds_is_refused_with_what_to_do(tmp_path: Path) -> None:
    await a_journal(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another program has .* open; find it with `fuser"):
            await reopened(tmp_path)


async def test_a_journal_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        await reopened(tmp_path)


async def test_a_file_system_that_cannot_do_what_is_asked_of_it_is_refused(tmp_path: Path) -> None:
    class Mistaken(sqlite3.Connection):
        """Says DELETE to whoever asks for the journal's mode."""

        def execute(self, sql, *values):
            return super().execute("SELECT 'delete'" if sql == "PRAGMA journal_mode" else sql, *values)

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Mistaken)

    with pytest.raises(StoreError, match="SQLite answered journal_mode=delete, wanted wal; use a local disk"):
        await SqliteStore(tmp_path, connect=connect).open("test")


async def test_a_process_without_memory_does_not_know_what_became_of_an_append(tmp_path: Path) -> None:
    class Poor(sqlite3.Connection):
        """What sqlite3 raises where SQLite has no memory."""

        def execute(self, sql, *values):
            if sql == "COMMIT" and self.poor:
                raise MemoryError
            return super().execute(sql, *values)

        poor = False

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Poor)

    store = SqliteStore(tmp_path, connect=connect)
    await store.open("test")
    Poor.poor = True
    with pytest.raises(AppendUnknown, match="MemoryError; the entry may or may not be there"):
        await store.append("web", 0, [a_record(0)])
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("entries", [10_000, 100_000])
async def test_a_long_journal_is_opened_in_time(
    tmp_path: Path, entries: int, report_figures: Callable[[str], None]
) -> None:
    import asyncio

    store, loop = await reopened(tmp_path), asyncio.get_running_loop()
    for first in range(0, entries, 5000):
        await store.append("web", first, [a_record(number) for number in range(first, first + 5000)])
    await store.close()
    began = loop.time()
    store = await reopened(tmp_path)
    verified = loop.time()
    assert len(await store.read("web")) == entries
    read = loop.time()
    size = (tmp_path / "journal.sqlite").stat().st_size >> 20
    await store.close()
    report_figures(
        f"{entries} entries, {size} MiB: verified in {verified - began:.2f} s, read in {read - verified:.2f} s"
    )
    assert read - began < entries / 1000
