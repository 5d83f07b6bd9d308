"""How a journal's file is opened: recognised before it is touched, made durable at once, set up, and read to its end.

Why these settings (figures in docs/decisions/0003-journal-in-sqlite.md): WAL with synchronous=FULL lost no acknowledged
entry in any simulated power cut; locking_mode=EXCLUSIVE keeps the one connection that makes WAL safe on every version
of SQLite, and needs no shared-memory file, so that a full disk can still be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from bluegreen.errors import JournalBroken, StoreError
from bluegreen.store.chain import ADVICE, GENESIS, link, parse

APPLICATION_ID = 0x62677265  # "bgre": a foreign SQLite file is seen before it is touched
ERRORS = (sqlite3.Error, UnicodeError)
"""What sqlite3 raises for a file that is not as it should be; the latter where a damaged name stands in its message."""
_SETTINGS = (("journal_mode", "wal"), ("synchronous", 2), ("locking_mode", "exclusive"))
_TABLE = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (service, version)
) STRICT
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection for the thread that calls. isolation_level None: transactions are written out by hand."""
    return sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=True)


def set_up(db: sqlite3.Connection, path: Path) -> None:
    """Make the connection the journal's, and the file a journal where it is new. Raises ERRORS, StoreError."""
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    if db.execute("PRAGMA page_count").fetchone()[0] == 0:
        # before the switch to WAL, so that the file itself says from the start what it is: a file without a table is
        # then never a new journal, but one whose WAL was lost
        db.execute("PRAGMA synchronous=EXTRA")
        db.execute("BEGIN IMMEDIATE")
        db.execute(_TABLE)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("COMMIT")
    _recognise(db, path)
    for name, wanted in _SETTINGS:
        db.execute(f"PRAGMA {name}={wanted}")
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise StoreError(f"SQLite answered {name}={found}, wanted {wanted}", "use a local disk")


def _recognise(db: sqlite3.Connection, path: Path) -> None:
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "entries" not in tables or db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        holds = f"it holds {', '.join(sorted(tables))}" if tables else "it holds no table"
        raise JournalBroken(f"{path} is not a journal of bluegreen: {holds}", ADVICE)


def verify(db: sqlite3.Connection, path: Path) -> tuple[tuple[int, str], dict[str, int]]:
    """Every page, every entry in order, every hash. Gives the head (number and hash) that the next entry is chained to,
    and each service's version. Raises JournalBroken, ERRORS."""
    if (found := db.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise JournalBroken(f"{path} is damaged: {found}", ADVICE)
    seq, previous = 0, GENESIS
    versions: dict[str, int] = {}
    for row in db.execute("SELECT seq, service, version, body, hash FROM entries NOT INDEXED ORDER BY seq"):
        seq += 1
        if row[0] != seq or link(previous, row[3]) != row[4]:
            raise JournalBroken(f"{path}: the chain breaks at entry {seq}", ADVICE)
        entry = parse(row[3], row[4])
        version = versions.get(row[1], 0) + 1
        if (entry.seq, entry.record.service, entry.version) != (seq, row[1], version) or row[2] != version:
            raise JournalBroken(f"{path}: entry {seq} is not the one that belongs here", ADVICE)
        versions[row[1]] = version
        previous = row[4]
    return (seq, previous), versions


def rows(db: sqlite3.Connection, service: str | None, after: int, limit: int | None) -> Iterator[tuple[str, str]]:
    """Texts and hashes as they are on the disk, each held against the entry before it: a page that was read again may
    have changed since the journal was opened. Not by the index: it is no part of the chain. Raises JournalBroken."""
    query = """
        SELECT e.seq, e.body, e.hash, p.hash FROM entries e NOT INDEXED LEFT JOIN entries p ON p.seq = e.seq - 1
        WHERE e.seq > ? AND (? IS NULL OR e.service = ?) ORDER BY e.seq LIMIT ?
    """
    for seq, body, hash_, previous in db.execute(query, [after, service, service, -1 if limit is None else limit]):
        if link(previous or GENESIS, body) != hash_:
            raise JournalBroken(f"entry {seq} of the journal is no longer what was written", ADVICE)
        yield body, hash_


def refusal(path: Path, error: Exception) -> StoreError:
    """Why the file could not be opened, and what to do."""
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StoreError(f"there is no room for a journal in {path.parent}", "make room; nothing was changed")
        case sqlite3.SQLITE_IOERR:
            return StoreError(f"{path} cannot be read: {error}", "the disk fails: look at `dmesg`; nothing was changed")
        case sqlite3.SQLITE_BUSY:
            return StoreError(f"another program has {path} open", f"find it with `fuser {path}` and close it")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return StoreError(f"{path} cannot be opened for writing: {error}", "mend its rights, or the file system")
    return JournalBroken(f"{path} cannot be opened as a journal: {error}", ADVICE)
