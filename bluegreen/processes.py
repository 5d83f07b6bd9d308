"""Running programs: argument lists only, in a session of their own, with a deadline, bounded output, and an end that
takes the whole tree with it: forks, double forks and children that left by `setsid` too.

Each run is marked by an environment variable, by which its processes are found through /proc wherever they went; one
that wiped its environment is found by its session.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import uuid4

from bluegreen.pipes import Tails

OUTPUT_MAX = 64 * 1024
GRACE_SECONDS = 2.0
MARK = "BLUEGREEN_RUN"
OURS_ALONE = (
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "INVOCATION_ID", "BLUEGREEN_CONFIG", "BLUEGREEN_TOKEN", MARK,
)  # fmt: skip
"""What systemd tells the daemon alone, and the daemon's own settings: never handed on."""
PR_SET_CHILD_SUBREAPER = 36
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What /proc says of a process that ended, or is another user's. Anything else, such as no descriptors left, says
nothing of the process: it must not be taken for ended, and leaves as OSError."""
T = TypeVar("T")


class _Detached(subprocess.Popen[bytes]):  # noqa: TID251 - see detach
    """A program that is meant to outlive this process: its end is not waited for at ours."""

    def __del__(self) -> None:
        """Nothing is said of one that still runs."""


_detached: dict[int, _Detached] = {}
_left_alone: dict[int, int] = {}
"""Processes that successful runs left behind, by pid with start time: orphans to be reaped, once they end."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended. `exit_code` None: it could not be started, or its time was over; `reason` says which, in words.

    A negative `exit_code` is the signal that ended the program, though not by us.
    """

    exit_code: int | None
    output: str
    seconds: float
    reason: str = ""
    timed_out: bool = False
    errors: str = ""
    """What it said on standard error, where that was kept apart."""

    @property
    def ok(self) -> bool:
        """Ended by itself, with 0."""
        return self.exit_code == 0

    def told(self, program: str) -> str:
        """One line: what became of `program`."""
        if self.exit_code is None:
            return self.reason if program in self.reason else f"{program} {self.reason}"
        if self.exit_code >= 0:
            return f"{program} ended with {self.exit_code} after {self.seconds:.1f} s"
        with contextlib.suppress(ValueError):
            name = signal.Signals(-self.exit_code).name
            return f"{program} was ended by {name} after {self.seconds:.1f} s, not by this daemon"
        return f"{program} was ended by signal {-self.exit_code} after {self.seconds:.1f} s, not by this daemon"


async def run(
    argv: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None, directory: str | None = None,
    output_max: int = OUTPUT_MAX, secrets: Sequence[str] = (), mark: str | None = None, apart: bool = False,
) -> Finished:  # fmt: skip
    """Run a program to its end or to `timeout` seconds; `secrets` are taken out of its output.

    A program that cannot be started is a Finished with its reason, not an exception. At the time-out, and when
    cancelled, the whole tree is ended before this lets go. A program that ends by itself has its way, whatever its
    exit code: what it left running in the background (`nohup app &`) is left alone, and may go on printing.
    `mark` is what its processes are found by; one of its own unless given. `apart`: standard error is not output.
    """
    loop = asyncio.get_running_loop()
    began, mark = loop.time(), mark or uuid4().hex
    try:
        output = Tails(output_max, apart=apart)
    except OSError as error:  # no descriptors left
        return Finished(None, "", 0.0, why_not(argv, variables, directory, error))
    process, by_itself, left = None, False, set[int]()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output.out.write, stderr=output.err.write,
            cwd=directory, env={**environment(variables), MARK: mark}, start_new_session=True,
        )  # fmt: skip
        output.follow(loop)
        by_itself = await _ends_within(process, timeout)
    except (OSError, ValueError) as error:
        return Finished(None, "", loop.time() - began, why_not(argv, variables, directory, error))
    finally:
        if process is None:  # its pipe may hold the last descriptors, and to look for processes takes one
            output.finish(loop, keep_open=False)
        try:
            if not by_itself:
                left = await surely(_end_run(mark, process))
        finally:
            if process is not None:
                output.finish(loop, keep_open=by_itself)
    seconds, (text, errors) = loop.time() - began, output.texts(secrets)
    if not by_itself:
        return Finished(None, text, seconds, _out_of_time(timeout, seconds, left), timed_out=True, errors=errors)
    _left_alone.update((pid, start_time(pid) or 0) for pid in members(mark))
    reap()
    return Finished(process.returncode, text, seconds, errors=errors)


def detach(
    argv: Sequence[str], *, mark: str, output: IO[bytes] | int, variables: Mapping[str, str], directory: str | None,
    source: int = subprocess.DEVNULL,
) -> int:  # fmt: skip
    """Start a program that outlives this process; `source` is its stdin. Gives its pid.

    Raises OSError or ValueError: see `why_not`.
    """
    # not asyncio's: its transport kills the process when the daemon ends, and this one carries traffic
    process = _Detached(  # an argument list from the configuration
        argv, stdin=source, stdout=output, stderr=output, cwd=directory,
        env={**environment(variables), MARK: mark}, start_new_session=True,
    )  # fmt: skip
    _detached[process.pid] = process
    return process.pid


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The daemon's environment without what is for the daemon alone, and `variables` on top."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    return {**inherited, **(variables or {})}


def become_subreaper() -> None:
    """Orphans of our programs become our children (Linux): they can be reaped by us where nobody else does it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def end(mark: str, session: int | None = None) -> set[int]:
    """End every process of a run: SIGTERM, a short grace, SIGKILL. Returns when none is left, or after both graces.

    Gives those that are left: of another user, or stuck in the kernel. Raises OSError where it cannot look for them.
    """
    loop = asyncio.get_running_loop()
    seen, left = set[int](), set[int]()
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline, told = loop.time() + GRACE_SECONDS, set[int]()
        while (left := members(mark, session)) and loop.time() < deadline:
            seen |= _dead_children(left)
            for pid in left - told:  # those forked meanwhile, too
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told |= left
            await asyncio.sleep(0.02)
        seen |= told
        if not left:
            break
    seen.discard(session or 0)  # whoever started the first one waits for it
    _left_alone.update((pid, start_time(pid, dead=True) or 0) for pid in seen)
    reap()
    return left


def still_there(pids: Set[int]) -> str:
    """In words, which processes could not be ended, and what to do."""
    return f"still running, to be ended by hand: {', '.join(map(str, sorted(pids)))}"


def not_understood(record: Path) -> str:
    """In words, that a record of what was started cannot be understood, and what to do."""
    return (
        f"{record} cannot be understood: whether what it stands for still runs is not known; "
        "look for it (`ps -ef`), end it, and then remove that file"
    )


def _dead_children(parents: set[int]) -> set[int]:
    """Those that ended and were not waited for: they come to us when their parent ends."""
    stats = {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None}
    return {pid for pid, stat in stats.items() if stat.dead and stat.parent in parents}


def members(mark: str, session: int | None = None) -> set[int]:
    """The living processes of a run: those that carry its mark in their environment, or are of its session. Never the
    one that asks: a keeper carries the mark of what it keeps.

    Raises OSError where it cannot look.
    """
    wanted, others = f"{MARK}={mark}".encode(), set(_pids()) - {os.getpid()}
    return {pid for pid in others if _is_marked(pid, wanted) or (session is not None and _is_of(pid, session))}


def start_time(pid: int, *, dead: bool = False) -> int | None:
    """When the process started, in ticks since boot: with the pid, its identity. None: no such process.

    A zombie counts as none, but where `dead` asks for it. Raises OSError where it cannot look.
    """
    stat = _stat(pid)
    return None if stat is None or (stat.dead and not dead) else stat.started


def age(started: int) -> float:
    """How many seconds ago that was: `started` as `start_time` tells it. Raises OSError where it cannot look."""
    since_boot = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return max(since_boot - started / os.sysconf("SC_CLK_TCK"), 0.0)


def reap() -> None:
    """Wait for what ended: detached programs, and orphans that came to us. asyncio's own children are left to it."""
    for pid, process in list(_detached.items()):
        if process.poll() is not None:
            del _detached[pid]
    ours = os.getpid()
    for pid in _pids():
        stat = _stat(pid)
        if stat is None or not stat.dead or stat.parent != ours or pid in _detached:
            continue
        # what we start ourselves has our session, or is the first of its own: any other one is surely an orphan
        if _left_alone.get(pid) == stat.started or stat.session not in (pid, os.getsid(0)):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    for pid, started in list(_left_alone.items()):
        if start_time(pid, dead=True) != started:
            del _left_alone[pid]


async def surely(ending: Coroutine[Any, Any, T]) -> T:
    """To the end of `ending`, which has an end, whatever cancels us meanwhile; the cancellation is handed on then."""
    inner, cancelled = asyncio.gather(ending), False
    while not inner.done():
        try:
            await asyncio.shield(inner)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return inner.result()[0]


def why_not(
    argv: Sequence[str], variables: Mapping[str, str] | None, directory: str | None, error: OSError | ValueError
) -> str:
    """In words, why a program could not be started. Values of variables are not told: they may be secrets."""
    program = argv[0]
    for index, part in enumerate(argv):
        if "\0" in part:
            return f"{program!r} cannot be started: argument {index} has a NUL character: {part!r}"
    for name, value in (variables or {}).items():
        if "\0" in name + value or "=" in name or not name:
            return f"{program} cannot be started: the variable {name!r} has a NUL character, or a name that cannot be"
    if directory is not None and not Path(directory).is_dir():
        return f"{program} cannot be started: there is no directory {directory}"
    there = os.sep in program and (Path(directory or ".") / program).exists()
    match error:
        case FileNotFoundError() if there:
            return f"{program} cannot be started: the interpreter in its first line does not exist"
        case FileNotFoundError():
            return f"{program} does not exist"
        case PermissionError():
            return f"{program} may not be run"
        case OSError():
            return f"{program} cannot be started: {error.strerror}"
        case _:
            return f"{program} cannot be started: {error}"


def _out_of_time(timeout: float, seconds: float, left: Set[int]) -> str:
    if left:
        return f"could not be ended when its time of {timeout:g} s was over: {still_there(left)}"
    return f"was ended after {seconds:.1f} s: its time is {timeout:g} s"


async def _ends_within(process: asyncio.subprocess.Process, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def _end_run(mark: str, process: asyncio.subprocess.Process | None) -> set[int]:
    left = await end(mark, process.pid if process else None)
    if process is not None:
        await _ends_within(process, GRACE_SECONDS)
    return left


@dataclass(frozen=True, slots=True)
class _Stat:
    dead: bool
    parent: int
    session: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except GONE:
        return None
    return _Stat(fields[0] in (b"Z", b"X"), int(fields[1]), int(fields[3]), int(fields[19]))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_marked(pid: int, wanted: bytes) -> bool:
    with contextlib.suppress(*GONE):  # a zombie, too
        return wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _is_of(pid: int, session: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat.session == session and not stat.dead
