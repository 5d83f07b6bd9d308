"""One process a state directory; and a process that hangs can be ended, surely that very one."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bluegreen.errors import Locked, StoreError
from bluegreen.store.lock import Lock, end_holder, read_holder, start_time
from tests.programs import needs_root

HOLDS = """
import sys
from pathlib import Path
from bluegreen.store.lock import Lock
Lock(Path(sys.argv[1])).acquire("daemon")
much = b"x" * (int(sys.argv[2]) << 20)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def a_holder(path: Path, mib: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock, and does nothing else; with so much memory, its end takes a while."""
    program = [sys.executable, "-c", HOLDS, str(path), str(mib)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


def test_a_hung_holder_is_ended_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with a_holder(path) as child:
        with pytest.raises(Locked) as refusal:
            Lock(path).acquire("next")
        assert refusal.value.holder == child.pid
        ended = end_holder(path)
        assert ended is not None
        assert ended.pid == child.pid
        assert child.wait(10) == -9
    assert end_holder(path) is None, "it is dead"
    lock = Lock(path)
    lock.acquire("next")
    lock.release()
    lock.release()


def test_a_lock_that_nobody_wrote_to_has_no_holder_to_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert end_holder(path) is None
    for text in ("", "[]", '{"pid": 1}', '{"pid": "x", "started": 1, "role": ""}'):
        path.write_text(text)
        assert read_holder(path) is None
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="is in use by another process; one daemon per state directory") as refusal:
            Lock(path).acquire("daemon")
    assert refusal.value.holder is None


@contextmanager
def as_nobody() -> Iterator[None]:
    """This process, for a moment, as a user who may end no other's."""
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@needs_root
def test_a_holder_of_another_user_is_not_ended_and_that_is_said() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lock"
        with a_holder(path) as child:
            Path(directory).chmod(0o755)
            path.chmod(0o644)
            with as_nobody(), pytest.raises(StoreError, match=f"{child.pid} may not be ended by this user; use sudo"):
                end_holder(path)
            assert child.poll() is None


def test_a_process_that_was_given_the_holders_number_is_not_ended(tmp_path: Path) -> None:
    with a_holder(tmp_path / "other") as stranger:
        name = {"pid": stranger.pid, "started": 1, "role": "daemon"}
        (tmp_path / "lock").write_text(json.dumps(name))
        assert end_holder(tmp_path / "lock") is None
        assert stranger.poll() is None


def test_what_ended_and_is_not_yet_waited_for_is_not_alive(tmp_path: Path) -> None:
    with a_holder(tmp_path / "lock") as child:
        holder = read_holder(tmp_path / "lock")
        assert holder is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not holder.is_alive()


def test_a_holder_that_does_not_end_is_said(tmp_path: Path) -> None:
    with a_holder(tmp_path / "lock", 256) as child, pytest.raises(StoreError, match=f"{child.pid} does not end"):
        end_holder(tmp_path / "lock", seconds=0)


def test_a_process_that_is_not_there_has_no_start() -> None:
    assert start_time(2**22 + 1) is None
    assert start_time(os.getpid()) is not None


def test_a_lock_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(StoreError, match="cannot be opened: Is a directory; mend the state directory's rights"):
        Lock(tmp_path / "lock").acquire("daemon")


def test_a_lock_that_finds_no_room_for_its_holders_name_is_let_go_of(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written: File too large; make room"):
            Lock(tmp_path / "lock").acquire("daemon")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lock = Lock(tmp_path / "lock")
    lock.acquire("daemon")
    lock.release()


def test_a_lock_is_signed_over_what_stood_there(tmp_path: Path) -> None:
    """On a full disk there is no new room, only what the last holder had."""
    (tmp_path / "lock").write_text("x" * 500)
    lock = Lock(tmp_path / "lock")
    lock.acquire("daemon")
    holder = read_holder(tmp_path / "lock")
    assert holder is not None
    assert (holder.pid, holder.role) == (os.getpid(), "daemon")
    lock.release()


def test_where_nothing_can_be_written_a_lock_is_taken_without_a_name_and_still_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        lock = Lock(path)
        lock.acquire("failback from the card", unsigned=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_holder(path) is None
    with pytest.raises(Locked):
        Lock(path).acquire("daemon")
    lock.release()


def test_where_there_is_no_lock_and_none_can_be_made_there_is_nothing_to_take(tmp_path: Path) -> None:
    Lock(tmp_path / "gone" / "lock").acquire("failback from the card", unsigned=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        Lock(tmp_path / "file" / "lock").acquire("failback from the card", unsigned=True)
