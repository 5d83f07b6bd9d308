"""Deploy commands on record: how one is started under a keeper, found again, waited for and ended.

A run has a record (`SERVICE.ENVIRONMENT.RUN.json`) that is durable before anything is started, and a result
(`SERVICE.ENVIRONMENT.RUN.result`) that its keeper writes. The keeper gets its job only after its pid is on record: a
record without a pid says that no command was ever started. No secret is written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from bluegreen import durable, processes, run_keeper
from bluegreen.config.secrets import resolved
from bluegreen.config.values import redacted
from bluegreen.processes import Finished

LOOK_EVERY = 0.2
TELL_EVERY = 1.0
SLACK_SECONDS = 30.0
"""How much longer than its command's time a keeper has: to start, to end a whole tree, and to write that down; on a
host that is busy with many others too: what became of a command is not to be lost for want of seconds."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is on record of a run. `pid` and `started` are the keeper's; 0: the command was not started. `mark` finds
    keeper and command; `command` is without its secrets; `timeout` in seconds."""

    run: str
    mark: str
    pid: int
    started: int
    command: list[str]
    timeout: float

    @property
    def kept(self) -> bool:
        """Whether its keeper lives. Raises OSError where it cannot look."""
        return processes.start_time(self.pid) == self.started

    @property
    def alive(self) -> bool:
        """Whether anything of it lives. Raises OSError where it cannot look."""
        return self.kept or bool(processes.members(self.mark))


class RunNotStarted(Exception):
    """Nothing was started, and nothing will be; says why."""


class Runs:
    """The runs of one service."""

    def __init__(self, directory: Path, service: str) -> None:
        self._directory, self._service = directory, service

    def file(self, environment: str, run: str) -> Path:
        """Where that run is on record, if it is."""
        return self._directory / f"{self._service}.{environment}.{run}.json"

    async def start(
        self, file: Path, argv: Sequence[str], variables: Mapping[str, str], directory: str | None,
        secrets: Sequence[str], timeout: float,
    ) -> None:  # fmt: skip
        """Start the command under a keeper; earlier runs of the environment end and go. Not to be cancelled midway.

        Raises RunNotStarted.
        """
        try:
            await self._start(file, argv, variables, directory, secrets, timeout)
        except OSError as error:
            raise RunNotStarted(error.strerror or str(error)) from error

    def started(self, file: Path) -> bool:
        """Whether the command may have been started. Raises OSError where it cannot look."""
        if not file.exists():
            return False
        run = _read(file)
        return run is None or run.pid != 0

    async def ended(self, file: Path, alive: Callable[[str], None]) -> tuple[list[str], Finished] | None:
        """The command and how it ended, once nothing can change that; None: lost. `alive` as in ports.Alive.

        What lives longer than it may is ended. Raises OSError where it cannot look.
        """
        if (run := _read(file)) is None:
            return None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + run.timeout + SLACK_SECONDS - processes.age(run.started)
        told = loop.time()
        while True:  # at least one look: the daemon may have been away for longer than the command's time
            with contextlib.suppress(OSError):  # it cannot look just now: it goes on trying until the deadline
                living = run.alive
                if (done := _finished(file)) is not None:  # asked for last: it may have come meanwhile
                    return run.command, done
                if not living:
                    return None
                if loop.time() >= told:
                    told = loop.time() + TELL_EVERY
                    alive(f"process {run.pid} runs for {processes.age(run.started):.0f} s")
            if loop.time() >= deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        await self.end(file)
        return None

    async def end(self, file: Path) -> set[int]:
        """End the run's whole tree: its keeper knows every process of it; what is left is found by the mark. Gives what
        could not be ended. Raises OSError where it cannot look, or cannot understand the record."""
        if (run := _known(file)) is None:
            return set()
        deadline = asyncio.get_running_loop().time() + processes.GRACE_SECONDS * 3
        if run.kept:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(run.pid, signal.SIGTERM)
        while run.kept and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - no event of ours tells
            await asyncio.sleep(0.02)
        return await processes.end(run.mark)

    async def _start(
        self, file: Path, argv: Sequence[str], variables: Mapping[str, str], directory: str | None,
        secrets: Sequence[str], timeout: float,
    ) -> None:  # fmt: skip
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._clear(file)
        command = [redacted(part, secrets) for part in argv]
        run = Run(file.name.split(".")[2], uuid4().hex, 0, 0, command, timeout)
        durable.write(file, json.dumps(asdict(run)))
        job = run_keeper.Job(
            list(argv), timeout, variables, directory, sorted({*secrets, *resolved()}), processes.OUTPUT_MAX,
            str(_result_of(file).resolve()),
        )  # fmt: skip
        source, sink = os.pipe()
        with os.fdopen(sink, "wb") as stream:
            try:
                pid = processes.detach(
                    [sys.executable, "-m", run_keeper.__name__], mark=run.mark, output=subprocess.DEVNULL, variables={},
                    directory=None, source=source,
                )  # fmt: skip
            finally:
                os.close(source)
            durable.write(file, json.dumps(asdict(replace(run, pid=pid, started=processes.start_time(pid) or 0))))
            with contextlib.suppress(BrokenPipeError):  # it is gone already: seen by whoever waits for it
                await asyncio.to_thread(_hand_over, stream.fileno(), json.dumps(asdict(job)).encode())

    async def _clear(self, file: Path) -> None:
        """Earlier runs in the same environment go. One that has a result has ended by itself: what it left stays. One
        that cannot be ended, or may run and cannot be looked for, is the last: two never work on one environment.
        Raises RunNotStarted, and OSError as `end`."""
        environment = file.name.split(".")[1]
        for record in self._directory.glob(f"{self._service}.{environment}.*.json"):
            if _finished(record) is None and (left := await self.end(record)):
                raise RunNotStarted(f"an earlier run of this environment is {processes.still_there(left)}")
            record.unlink(missing_ok=True)
            _result_of(record).unlink(missing_ok=True)
        durable.sync(self._directory)


def _hand_over(descriptor: int, job: bytes) -> None:
    left = memoryview(job)
    while left:
        left = left[os.write(descriptor, left) :]


def _result_of(file: Path) -> Path:
    return file.with_suffix(".result")


def _read(file: Path) -> Run | None:
    """The record; None where there is none that can be understood. Raises OSError where it cannot be read."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        return Run(**json.loads(file.read_bytes()))
    return None


def _known(file: Path) -> Run | None:
    """The record; None where there is none. Raises OSError where it cannot be read or understood."""
    if (run := _read(file)) is None and file.exists():
        raise OSError(errno.EBADMSG, processes.not_understood(file))
    return run


def _finished(file: Path) -> Finished | None:
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        return Finished(**json.loads(_result_of(file).read_bytes()))
    return None
