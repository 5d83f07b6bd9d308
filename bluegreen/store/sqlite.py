"""The journal in SQLite: one connection, one thread, one writer, one hash chain. How it is opened: `opening`.

What can become of an append:
* it is there, durably, when it returns;
* the disk is full, or was remounted read-only: SQLite could not write its commit mark, so surely nothing was written.
  It is tried again with a piece of the ballast for room; else it is NotWritten, and may be tried again later;
* its commit failed in any other way: it may be there after the next start. That is AppendUnknown; the store refuses
  everything from then on, and the process has to end.
Nothing else in the process may open the database file: closing it would drop SQLite's lock.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from bluegreen.core.events import Entry, Record
from bluegreen.errors import AppendUnknown, NotWritten, StoreError, VersionConflict
from bluegreen.model import Finding
from bluegreen.store import opening
from bluegreen.store.ballast import BALLAST_BYTES, FREE_BYTES_MIN, Ballast
from bluegreen.store.chain import GENESIS, body_of, link, parse
from bluegreen.store.lock import Lock

T = TypeVar("T")

FULL_ADVICE = f"make room: {FREE_BYTES_MIN + BALLAST_BYTES >> 20} MiB are wanted; until then only a failback goes on"
MOVED = "was moved, replaced or deleted while it was in use"
MOVED_ADVICE = "put it back; what stands there now is only read after a restart"
NOT_OPEN = Finding("journal", ok=False, summary="it is not open")
READ_ONLY_ADVICE = (
    "see `dmesg` for why; make it writable again and restart the daemon. A failback that cannot wait: end the daemon, "
    "then `bluegreen failback SERVICE --card FILE`; FILE is in `cards` beside the journal"
)


class SqliteStore:
    """ports.Store on one ops host. `observe_append` is called with each append's seconds; `connect` opens the file."""

    def __init__(
        self,
        directory: Path,
        observe_append: Callable[[float], None] = lambda _: None,
        connect: Callable[[Path], sqlite3.Connection] = opening.connect,
    ) -> None:
        self._directory = directory
        self._path = directory / "journal.sqlite"
        self._lock = Lock(directory / "lock")
        self._ballast = Ballast(directory)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._connect, self._observe_append = connect, observe_append
        self._db: sqlite3.Connection | None = None
        self._broken: AppendUnknown | None = None
        self._trouble: Finding | None = NOT_OPEN
        self._files: tuple[int | None, ...] = ()
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

    @property
    def trouble(self) -> Finding | None:
        """See ports.Store."""
        return self._trouble

    def services(self) -> tuple[str, ...]:
        """Every service that the journal has an entry of."""
        return tuple(self._versions)

    async def writable(self) -> Finding:
        """See ports.Store."""
        return await self._do(self._writable)

    async def close(self) -> None:
        """See ports.Store."""
        db, self._db, self._trouble = self._db, None, NOT_OPEN
        try:
            if db is not None:
                await self._do(db.close)
        finally:
            self._thread.shutdown(wait=False)
            self._lock.release()

    # --- in the one thread ---

    async def _do(self, work: Callable[[], T]) -> T:
        """Run in the journal's thread, to its end: a transaction is never left half-way by a cancelled task."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _open(self) -> None:
        try:
            db = self._db = self._connect(self._path)
            opening.set_up(db, self._path)
            self._head, self._versions = opening.verify(db, self._path)
        except opening.ERRORS as error:
            raise opening.refusal(self._path, error) from error
        if self._path.stat().st_mode & 0o777 != 0o600:
            os.chmod(self._path, 0o600)  # noqa: PTH101 - it must not be opened again, not even by pathlib
        self._files = self._present()
        self._ballast.restore()
        self._trouble = self._look()

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
        """One transaction, with as much of the ballast as it needs: each try gives up a piece, and they are few."""
        if self._present() != self._files:
            raise self._refused(f"{self._path} {MOVED}", MOVED_ADVICE)
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
                db.execute("COMMIT")
                return
            except (sqlite3.Error, MemoryError) as error:
                code = getattr(error, "sqlite_errorcode", None)
                read_only = code == sqlite3.SQLITE_IOERR_WRITE and _is_read_only(self._directory)
                if not (read_only or code == sqlite3.SQLITE_FULL) or not _rolled_back(db):
                    raise self._unknown(error) from error
                if read_only:
                    raise self._refused(f"the disk of {self._directory} is read-only", READ_ONLY_ADVICE) from error
                if not self._ballast.spend():
                    raise self._refused(f"the disk of {self._directory} is full", FULL_ADVICE) from error
                self._trouble = self._look()

    def _refused(self, what: str, advice: str) -> NotWritten:
        """Surely nothing was written. What ails the disk is told until a look finds it well again."""
        self._trouble = _trouble(what, advice)
        return NotWritten(f"{what}: nothing was written", advice)

    def _unknown(self, error: Exception) -> AppendUnknown:
        """It may or may not be there: nothing more is taken, and nothing more is told."""
        what = (
            f"the journal could not be written: {str(error) or type(error).__name__}; the entry may or may not be there"
        )
        self._broken = AppendUnknown(what, "the process has to end; the next start reads what is there")
        self._trouble = _trouble(what, "restart the daemon")
        return self._broken

    def _read(self, service: str | None, after: int, limit: int | None) -> tuple[Entry, ...]:
        db = self._usable()
        try:
            return tuple(parse(body, hash_) for body, hash_ in opening.rows(db, service, after, limit))
        except opening.ERRORS as error:
            raise opening.refusal(self._path, error) from error

    def _writable(self) -> Finding:
        if self._db is not None and self._broken is None:
            self._ballast.restore()
            self._trouble = self._look()
        return self._trouble or self._floor()

    def _look(self) -> Finding | None:
        """What stands in the way of an append, or has used up the room kept for one; by all that shows without one."""
        if _is_read_only(self._directory):
            return _trouble(f"the disk of {self._directory} is read-only", READ_ONLY_ADVICE)
        if self._present() != self._files:
            return _trouble(f"{self._path} {MOVED}", MOVED_ADVICE)
        free, left = self._ballast.free(), self._ballast.left()
        if free >= FREE_BYTES_MIN or left == BALLAST_BYTES:
            return None
        return _trouble(
            f"the disk of {self._directory} is full: {free >> 20} MiB free, and the ballast was spent "
            f"({left >> 10} of {BALLAST_BYTES >> 10} KiB left)",
            FULL_ADVICE,
        )

    def _floor(self) -> Finding:
        """Whether there is enough room for a deployment to start."""
        free = self._ballast.free()
        detail = {"directory": str(self._directory), "free_mib": str(free >> 20)}
        if free >= FREE_BYTES_MIN:
            return Finding("journal", ok=True, summary=f"takes writes, {free >> 20} MiB free", detail=detail)
        return Finding(
            "journal",
            ok=False,
            summary=f"{free >> 20} MiB free in {self._directory}, wanted {FREE_BYTES_MIN >> 20} MiB",
            advice="make room: a halt and a failback must still be written down",
            detail=detail,
        )

    def _present(self) -> tuple[int | None, ...]:
        """Which files stand where the journal's stood: looked at by name, never opened."""
        return tuple(_inode(path) for path in (self._path, self._path.with_name("journal.sqlite-wal")))

    def _usable(self) -> sqlite3.Connection:
        if self._broken is not None:
            raise self._broken
        if self._db is None:
            raise StoreError("the journal is not open")
        return self._db


def _trouble(what: str, advice: str) -> Finding:
    return Finding("journal", ok=False, summary=what, advice=advice)


def _rolled_back(db: sqlite3.Connection) -> bool:
    """Whether the transaction is surely over, with nothing of it kept."""
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True


def _is_read_only(directory: Path) -> bool:
    """Whether the file system takes no writes any more. By trying: one that was stopped for an error does not tell."""
    try:
        os.utime(directory)
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{directory} cannot be made: {error.strerror}", "mend `state.directory` or its rights"
        ) from error
