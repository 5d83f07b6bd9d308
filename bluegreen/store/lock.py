"""One process per state directory: a lock on a file of its own, and who holds it.

The journal's database has a lock too (EXCLUSIVE), but that one is lost when anything in the process opens and closes
the database file by other means; this file is opened by nobody else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import Locked, StoreError

ORPHAN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or last held, a lock: `started` is the process's start time in clock ticks since boot."""

    pid: int
    started: int
    role: str

    def is_alive(self) -> bool:
        """Whether that very process still runs (a pid alone may have been given to another)."""
        return start_time(self.pid) == self.started


class Lock:
    """Held from `acquire` to `release` or to the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self, role: str, *, unsigned: bool = False) -> None:
        """Take the lock, at once or not at all. Raises Locked with the holder's pid, or StoreError.

        `unsigned`: where nothing can be written it is taken without a name on it; where there is none, and none can be
        made, there is nothing to take.
        """
        fd = _opened(self._path, unsigned)
        if fd is None:
            return
        if not _locked(fd, self._path):
            os.close(fd)
            holder = read_holder(self._path)
            raise Locked(*_who(self._path, holder), *((holder.pid, holder.role) if holder else (None,)))
        try:
            _sign(fd, role)
        except OSError as error:
            if not unsigned:
                os.close(fd)
                raise StoreError(f"the lock {self._path} cannot be written: {error.strerror}", "make room") from error
        self._fd = fd

    def release(self) -> None:
        """Let go. Idempotent. The file stays, so that nobody can lock a file that is about to vanish."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _opened(path: Path, unsigned: bool) -> int | None:
    """The lock's file; None where there is none, and none can be made. What can only be read can be locked, too."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        trouble = error
    try:
        if unsigned:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        trouble = error
    advice = "mend the state directory's rights, or use sudo"
    raise StoreError(f"the lock {path} cannot be opened: {trouble.strerror}", advice) from trouble


def _sign(fd: int, role: str) -> None:
    """Say who holds it: over what stood there, not after cutting it off, for on a full disk there is no new room."""
    name = json.dumps({"pid": os.getpid(), "started": start_time(os.getpid()) or 0, "role": role}).encode()
    os.pwrite(fd, name, 0)
    os.ftruncate(fd, len(name))


def _locked(fd: int, path: Path) -> bool:
    """Lock, at once or not at all; but a child that a killed process left between its fork and its exec has the lock
    for an instant more: where the holder is dead, try again for ORPHAN_SECONDS."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = read_holder(path)
            if holder is None or holder.is_alive() or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last; None where that cannot be told."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(path.read_text())
        return Holder(int(document["pid"]), int(document["started"]), str(document["role"]))
    return None


def end_holder(path: Path, seconds: float = 5.0) -> Holder | None:
    """End the process that holds the lock, surely that very one; gives it. None where nobody living holds it.

    By a pidfd: a pid that was given to another process meanwhile is not touched. Raises StoreError where it may not be
    ended, or does not end within `seconds`.
    """
    holder = read_holder(path)
    if holder is None:
        return None
    try:
        pidfd = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return None
    try:
        if not holder.is_alive():
            return None
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not select.select([pidfd], [], [], seconds)[0]:
            raise StoreError(f"process {holder.pid} does not end", "look at it with `ps`; the kernel may hold it")
    except PermissionError as error:
        raise StoreError(f"process {holder.pid} may not be ended by this user", "use sudo") from error
    finally:
        os.close(pidfd)
    return holder


def start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat: the process's start in clock ticks since boot; None where it does not run (what ended
    and is not yet waited for holds nothing)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _who(path: Path, holder: Holder | None) -> tuple[str, str]:
    if holder is None:
        return f"{path.parent} is in use by another process", "one daemon per state directory: find it, or name another"
    return (
        f"{path.parent} is in use by process {holder.pid} ({holder.role})",
        f"one daemon per state directory: see `ps {holder.pid}`; end it, or name another directory",
    )
