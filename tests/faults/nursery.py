"""Many lives of the real daemon, one after the other, without the second that Python needs for its imports.

`python -m tests.faults.nursery CONFIG PARENT` imports everything once and waits. For each line `FAILPOINT<TAB>LOG` on
its standard input it forks: the child is a process of its own and calls `bluegreen.daemon.serve`, as `bluegreen serve`
does. No thread and no event loop is begun before a fork: nothing but imported code is shared between two lives. It says
`started PID` and `ended CODE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from tests.faults.daemon import armed_serve
from tests.faults.door import Away, Door

PR_SET_PDEATHSIG = 1
START_SECONDS = 90.0


class Life:
    """One process of the daemon."""

    def __init__(self, pid: int, said: asyncio.StreamReader) -> None:
        self.pid, self._said, self._code = pid, said, None if pid else 0

    async def ended(self, seconds: float = 90.0) -> int:
        """Its exit code once it has ended; negative: the signal that ended it."""
        if self._code is None:
            async with asyncio.timeout(seconds):
                self._code = int((await self._said.readline()).split()[1])
        return self._code

    async def end(self, number: int = signal.SIGKILL, seconds: float = 90.0) -> int:
        """End it by a signal; gives its exit code."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        return await self.ended(seconds)


class Nursery:
    """Starts lives; one at a time."""

    def __init__(self, process: asyncio.subprocess.Process, door: Door) -> None:
        self._process, self._door = process, door

    async def begin(self, failpoint: str = "", log: Path | None = None) -> Life:
        """A life that has just begun; it may not answer yet, and it may die before it does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{failpoint}\t{log or ''}\n".encode())
        line = await self._process.stdout.readline()
        return Life(int(line.split()[1]), self._process.stdout)

    async def start(self, failpoint: str = "", log: Path | None = None) -> Life:
        """A life that answers. Raises Away where it ended first."""
        life = await self.begin(failpoint, log)
        await self.answers(life)
        return life

    async def answers(self, life: Life) -> None:
        """Wait until it does. Raises Away where it ended first."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(Away):
                    await self._door.ask("GET", "/v1/services")
                    return
                if not Path(f"/proc/{life.pid}").exists():
                    raise Away("it ended before it answered")
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def nursery(config: Path, socket: Path) -> AsyncIterator[Nursery]:
    """For the length of a test; what the lives say goes to `daemon.log` beside the configuration."""
    with (config.parent / "daemon.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.nursery", str(config), str(os.getpid()),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        yield Nursery(process, Door(socket))
    finally:
        process.kill()  # a life that is still there dies with it
        await process.wait()


def _main(config: Path, parent: int) -> None:
    _die_with(parent)
    me = os.getpid()
    for line in sys.stdin:
        spoken, _, log = line.rstrip("\n").partition("\t")
        child = os.fork()
        if child == 0:
            _live(config, me, spoken, log)
        print(f"started {child}", flush=True)
        print(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", flush=True)


def _live(config: Path, parent: int, spoken: str, log: str) -> None:
    """In the child, to its end."""
    code = 70
    try:
        _die_with(parent)
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        code = armed_serve(config, spoken, log)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Whatever becomes of the test, no daemon stays behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
