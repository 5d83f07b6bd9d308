"""Running programs: argument lists only, in a session of their own, with a deadline, bounded output, and an end that
takes the whole tree with it: forks, double forks and children that left by `setsid` too.

Each run is marked by an environment variable, by which its processes are found through /proc wherever they went.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

OUTPUT_MAX = 64 * 1024
GRACE_SECONDS = 2.0
MARK = "BLUEGREEN_RUN"
OURS_ALONE = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "INVOCATION_ID", "BLUEGREEN_CONFIG", "BLUEGREEN_TOKEN", MARK,
)  # fmt: skip
"""What systemd tells the daemon alone, and the daemon's own settings: never handed on."""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended. `exit_code` None: it could not be started, or was ended; `reason` says which, in words."""

    exit_code: int | None
    output: str
    seconds: float
    reason: str = ""
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Ended by itself, with 0."""
        return self.exit_code == 0


async def run(
    argv: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None, directory: str | None = None,
    output_max: int = OUTPUT_MAX,
) -> Finished:  # fmt: skip
    """Run a program to its end or to `timeout` seconds; what it started ends with it.

    A program that cannot be started is a Finished with its reason, not an exception. When cancelled, ends the tree
    before it lets go.
    """
    loop = asyncio.get_running_loop()
    began, mark = loop.time(), uuid4().hex
    read, write = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=write, stderr=write, cwd=directory,
            env={**environment(variables), MARK: mark}, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        os.close(read)
        return Finished(None, "", loop.time() - began, _why_not(argv, directory, error))
    finally:
        os.close(write)
    output = _Tail(output_max)
    timed_out = False
    try:
        async with asyncio.timeout(timeout):
            await _to_end(process, read, output)
    except TimeoutError:
        timed_out = True
    finally:
        await asyncio.shield(end(mark, process))
        output.drain(read)
    seconds = loop.time() - began
    if timed_out:
        return Finished(
            None, output.text(), seconds, f"was ended after {seconds:.1f} s: its time is {timeout:g} s", True
        )
    return Finished(process.returncode, output.text(), seconds)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The daemon's environment without what is for the daemon alone, and `variables` on top."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    return {**inherited, **(variables or {})}


def become_subreaper() -> None:
    """Orphans of our programs become our children (Linux): they can be found, ended and reaped."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def end(mark: str, process: asyncio.subprocess.Process | None = None) -> None:
    """End every process of a run: SIGTERM, a short grace, SIGKILL. Returns when none is left."""
    loop = asyncio.get_running_loop()
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        deadline = loop.time() + seconds
        left = marked(mark)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while left and loop.time() < deadline:
            await asyncio.sleep(0.02)
            _reap(left, process)
            left = marked(mark)
        if not left:
            break
    if process is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()


def marked(mark: str) -> set[int]:
    """The living processes that carry a run's mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found


def _reap(pids: set[int], process: asyncio.subprocess.Process | None) -> None:
    """Orphans that came to us as their subreaper; asyncio's own child is left to asyncio."""
    for pid in pids:
        if process is None or pid != process.pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


async def _to_end(process: asyncio.subprocess.Process, read: int, output: _Tail) -> None:
    """Until the program itself ends. Its output is taken as it comes, so that it never waits for us."""
    loop = asyncio.get_running_loop()
    os.set_blocking(read, False)
    loop.add_reader(read, output.take, read)
    try:
        await process.wait()
    finally:
        loop.remove_reader(read)


class _Tail:
    """The last bytes of an output of any length."""

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._dropped = most, bytearray(), 0

    def take(self, fd: int) -> bool:
        """Read once; False at the end or when there is nothing now."""
        try:
            part = os.read(fd, 65536)
        except (BlockingIOError, OSError):
            return False
        self._kept += part
        if (over := len(self._kept) - self._most) > 0:
            del self._kept[:over]
            self._dropped += over
        return bool(part)

    def drain(self, fd: int) -> None:
        """What is left in the pipe, then close it."""
        for _ in range(64):
            if not self.take(fd):
                break
        os.close(fd)

    def text(self) -> str:
        """Readable, whatever the bytes were."""
        shown = self._kept.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return f"[{self._dropped} bytes before this were not kept]\n{shown}" if self._dropped else shown


def _why_not(argv: Sequence[str], directory: str | None, error: OSError | ValueError) -> str:
    if directory is not None and not Path(directory).is_dir():
        return f"the directory {directory} does not exist"
    if isinstance(error, FileNotFoundError):
        return f"{argv[0]} does not exist"
    if isinstance(error, PermissionError):
        return f"{argv[0]} may not be run"
    return f"{argv[0]} cannot be started: {error}"
