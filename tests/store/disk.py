"""A file system of our own under SQLite: it writes down what is done to it, and fails when told to.

The store runs over it as it is: same statements, same pragmas, same thread. `Connection` only gives apsw's connection
the manners of sqlite3's, so that `SqliteStore(directory, connect=disk.connect)` is the unmodified store; apsw brings an
SQLite of its own. What is done is done to real files, by SQLite's own unix VFS: this one stands in between.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import apsw

_NUMBERS = itertools.count()
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


@dataclass(frozen=True, slots=True)
class Op:
    """One thing done to the disk. `call` is create, write, truncate, sync, delete or ack."""

    call: str
    file: str = ""
    offset: int = 0
    data: bytes = b""
    journal: bool = False
    """Of create: whether its first sync brings its name in the directory to the disk as well (os_unix.c, DIRSYNC)."""
    synced: bool = False
    """Of delete: whether the directory was synced with it."""
    count: int = 0
    """Of ack: how many entries have been acknowledged."""


Fail = Callable[[str, str], int | None]
"""Asked before each call with its name (read, write, truncate, sync, delete) and its file's; the SQLite result code to
fail with, or None."""


def never(call: str, file: str) -> int | None:
    """A disk that does not fail."""
    return None


class Disk:
    """`connect` is what the store opens its file by; `ops` is what was done. Failed calls do nothing."""

    def __init__(self, fail: Fail = never, made: Callable[[apsw.Connection], Connection] | None = None) -> None:
        self.ops: list[Op] = []
        self.fail = fail
        self._made = made or Connection
        self._name = f"disk-{next(_NUMBERS)}"
        self._vfs = _Vfs(self, self._name)

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection over this disk."""
        with told_as_sqlite3_does():
            return cast("sqlite3.Connection", self._made(apsw.Connection(str(path), vfs=self._name)))

    def asked(self, call: str, file: str) -> None:
        """Raises what SQLite takes for a failed call."""
        code = self.fail(call, file)
        if code is not None:
            raise apsw.exception_for(code)

    def close(self) -> None:
        """Let go of the VFS."""
        self._vfs.unregister()


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's names
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self._disk.asked("delete", Path(filename).name)
        super().xDelete(filename, syncdir)
        self._disk.ops.append(Op("delete", Path(filename).name, synced=bool(syncdir)))


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        new = not path.exists()
        self._disk, self._name = disk, path.name
        super().__init__("", name, flags)
        if new:
            disk.ops.append(Op("create", path.name, journal=bool(flags[0] & _JOURNALS)))

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.asked("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.asked("write", self._name)
        super().xWrite(data, offset)
        self._disk.ops.append(Op("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.asked("truncate", self._name)
        super().xTruncate(newsize)
        self._disk.ops.append(Op("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.asked("sync", self._name)
        super().xSync(flags)
        self._disk.ops.append(Op("sync", self._name))


@contextlib.contextmanager
def told_as_sqlite3_does() -> Iterator[None]:
    """apsw's errors as those of sqlite3."""
    try:
        yield
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error) or type(error).__name__)
        told.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
        raise told from error


class Connection:
    """apsw's connection with sqlite3's manners: what the store uses of it, and its errors."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        with told_as_sqlite3_does():
            return Rows(list(self._db.execute(sql, tuple(values))))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Rows:
        with told_as_sqlite3_does():
            return Rows(list(self._db.executemany(sql, [tuple(one) for one in values])))

    def close(self) -> None:
        with contextlib.suppress(
            apsw.Error
        ):  # what fails then is told by apsw alone: SQLite goes on, and so does sqlite3
            self._db.close()


class Rows:
    """What a statement gave, all at once."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)
