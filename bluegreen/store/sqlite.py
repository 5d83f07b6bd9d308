"""The journal in SQLite: one connection, one thread, one writer, one hash chain.

Why these settings (figures in docs/decisions/0003-journal-in-sqlite.md): WAL with synchronous=FULL lost no acknowledged
entry in any simulated power cut; locking_mode=EXCLUSIVE keeps the one connection that makes WAL safe on every version
of SQLite, and needs no shared-memory file, so that a full disk can still be read.

An append whose commit failed with an I/O error may be there after the next start: that is AppendUnknown, and the
process has to end. Nothing else in the process may open the database file: closing it would drop SQLite's lock.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from bluegreen.core.events import Entry, Record
from bluegreen.errors import AppendUnknown, JournalBroken, StoreError, VersionConflict
from bluegreen.model import Finding
from bluegreen.store.chain import ADVICE, GENESIS, body_of, link, parse
from bluegreen.store.lock import Lock

T = TypeVar("T")

APPLICATION_ID = 0x62677265  # "bgre": a foreign SQLite file is seen before it is touched
FREE_BYTES_MIN = 64 * 1024 * 1024
"""Below this, no deployment starts: a halt and a failback must still find room in the journal."""

_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (service, version)
) STRICT
"""


class SqliteStore:
    """ports.Store on one ops host. `observe_append` is called with each append's seconds."""

    def __init__(self, directory: Path, observe_append: Callable[[float], None] = lambda _: None) -> None:
        self._directory = directory
        self._path = directory / "journal.sqlite"
        self._lock = Lock(directory / "lock")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._db: sqlite3.Connection | None = None
        self._observe_append = observe_append
        self._broken: StoreError | None = None
        self._head = (0, GENESIS)
        self._versions: dict[str, int] = {}

    async def open(self, role: str) -> None:
        """Lock the directory, open the journal, verify all of it. Raises Locked, JournalBroken or StoreError."""
        _make(self._directory)
        self._lock.acquire(role)
        try:
            await self._do(self._open)
        except BaseException:
            await self.close()
            raise

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        """See ports.Store. One transaction and one fdatasync for all of `records`."""
        return await self._do(lambda: self._append(service, expected, records))

    async def read(self, service: str | None = None, after: int = 0, limit: int | None = None) -> tuple[Entry, ...]:
        """See ports.Store."""
        return await self._do(lambda: self._read(service, after, limit))

    def services(self) -> tuple[str, ...]:
        """Every service that the journal has an entry of."""
        return tuple(self._versions)

    async def writable(self) -> Finding:
        """See ports.Store."""
        return await self._do(self._writable)

    async def close(self) -> None:
        """See ports.Store."""
        if self._db is not None:
            await self._do(self._close)
        self._thread.shutdown(wait=False)
        self._lock.release()

    # --- in the one thread ---

    async def _do(self, work: Callable[[], T]) -> T:
        """Run in the journal's thread, to its end: a transaction is never left half-way by a cancelled task."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.done():
                await asyncio.wait([future])
            raise

    def _open(self) -> None:
        try:
            # the thread opens, uses and closes it; isolation_level None: transactions are written out below
            db = sqlite3.connect(self._path, timeout=1.0, isolation_level=None, check_same_thread=True)
            self._db = db
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._recognise(db)
            for name, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("locking_mode", "exclusive")):
                db.execute(f"PRAGMA {name}={wanted}")
                found = db.execute(f"PRAGMA {name}").fetchone()[0]
                if found != wanted:
                    raise StoreError(f"SQLite answered {name}={found}, wanted {wanted}", "use a local disk")
            db.execute("BEGIN IMMEDIATE")
            db.execute(_TABLE)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute("COMMIT")
            os.chmod(self._path, 0o600)  # noqa: PTH101 - it must not be opened again, not even by pathlib
            self._verify(db)
        except sqlite3.Error as error:
            raise JournalBroken(f"{self._path} cannot be opened as a journal: {error}", ADVICE) from error

    def _recognise(self, db: sqlite3.Connection) -> None:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if tables and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalBroken(
                f"{self._path} is not a journal of bluegreen: it holds {', '.join(sorted(tables))}", ADVICE
            )

    def _verify(self, db: sqlite3.Connection) -> None:
        """Every entry in order, every hash; ends with the head that the next entry is chained to."""
        if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalBroken(f"{self._path} is damaged: {found}", ADVICE)
        seq, previous = 0, GENESIS
        for row in db.execute("SELECT seq, service, version, body, hash FROM entries ORDER BY seq"):
            seq += 1
            if row[0] != seq or link(previous, row[3]) != row[4]:
                raise JournalBroken(f"{self._path}: the chain breaks at entry {seq}", ADVICE)
            entry = parse(row[3], row[4])
            version = self._versions.get(row[1], 0) + 1
            if (entry.seq, entry.record.service, entry.version) != (seq, row[1], version) or row[2] != version:
                raise JournalBroken(f"{self._path}: entry {seq} is not the one that belongs here", ADVICE)
            self._versions[row[1]] = version
            previous = row[4]
        self._head = (seq, previous)

    def _append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        db = self._usable()
        began = time.perf_counter()
        version = self._versions.get(service, 0)
        if version != expected:
            raise VersionConflict(f"{service}: the journal is at {version}, the append was made on {expected}")
        seq, previous = self._head
        rows: list[tuple[int, str, int, str, str]] = []
        for record in records:
            seq, version = seq + 1, version + 1
            body = body_of(record, seq, version)
            previous = link(previous, body)
            rows.append((seq, service, version, body, previous))
        self._commit(db, rows)
        self._head, self._versions[service] = (seq, previous), version
        self._observe_append(time.perf_counter() - began)
        return tuple(Entry(row[0], row[2], record, row[4]) for row, record in zip(rows, records, strict=True))

    def _commit(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        try:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise StoreError(f"the disk of {self._directory} is full: nothing was written", "make room") from error
            self._broken = AppendUnknown(
                f"the journal could not be written: {error}; the entry may or may not be there",
                "the process has to end; the next start reads what is there",
            )
            raise self._broken from error

    def _read(self, service: str | None, after: int, limit: int | None) -> tuple[Entry, ...]:
        db = self._usable()
        where, values = ("service = ? AND seq > ?", [service, after]) if service else ("seq > ?", [after])
        query = f"SELECT body, hash FROM entries WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608 - two fixed texts
        return tuple(parse(body, hash_) for body, hash_ in db.execute(query, [*values, -1 if limit is None else limit]))

    def _writable(self) -> Finding:
        if self._broken is not None or self._db is None:
            what = str(self._broken) if self._broken else "the journal is not open"
            return Finding("journal", ok=False, summary=what, advice="restart the daemon")
        free = shutil.disk_usage(self._directory).free
        detail = {"directory": str(self._directory), "free_mib": str(free >> 20)}
        if free < FREE_BYTES_MIN:
            return Finding(
                "journal",
                ok=False,
                summary=f"{free >> 20} MiB free in {self._directory}, wanted {FREE_BYTES_MIN >> 20} MiB",
                advice="make room: a halt and a failback must still be written down",
                detail=detail,
            )
        try:
            db = self._usable()
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        except sqlite3.Error as error:
            return Finding("journal", ok=False, summary=f"it takes no writes: {error}", advice="look at the disk")
        return Finding("journal", ok=True, summary=f"takes writes, {free >> 20} MiB free", detail=detail)

    def _usable(self) -> sqlite3.Connection:
        if self._broken is not None:
            raise self._broken
        if self._db is None:
            raise StoreError("the journal is not open")
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{directory} cannot be made: {error.strerror}", "mend `state.directory` or its rights"
        ) from error
