"""The daemon runs the environment's process itself and keeps it running: the demo's way, and that of small hosts.

The process carries production traffic, so it outlives the daemon: it has a session of its own, logs to a file, and is
found again by a small record of its pid and start time. What ended by itself is started again, with a growing pause;
but not what ended before it was ever ready: a failed deployment stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog

from bluegreen import durable, processes
from bluegreen.config.placeholders import fill
from bluegreen.config.schema import ProcessDeploy
from bluegreen.config.secrets import SecretMissing
from bluegreen.config.values import filled, redacted
from bluegreen.deployers.command import executable_finding, facts, missing
from bluegreen.model import Finding
from bluegreen.ports import Alive, DeployOutcome, Found, Scene, not_ended

LOOK_EVERY = 0.5
PAUSE_MIN, PAUSE_MAX = 0.5, 30.0
STEADY_SECONDS = 10.0
"""A process that ran as long as this after its pause is taken for sound: the pause is short again."""
LOG_BYTES_MAX = 4 * 1024 * 1024
LOG_SHOWN = 4000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to run. `variables` are as configured, `names` are the placeholders' values: no secret is written down."""

    argv: list[str]
    directory: str | None
    variables: dict[str, str]
    facts: dict[str, str]
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Running:
    """What is on record of an environment's process; enough to find it, and to start it again.

    `kept`: it was ready once, so it is started again when it ends.
    """

    pid: int
    started: int
    mark: str
    wanted: _Wanted
    kept: bool

    @property
    def alive(self) -> bool:
        """Whether that very process still runs: a pid alone may be another's by now; a zombie runs no more."""
        return processes.start_time(self.pid) == self.started


@dataclass(slots=True)
class _Patience:
    """How long an environment's process has to wait for its next start, and from when on it may."""

    pause: float = 0.0
    due: float = 0.0

    def started(self, now: float) -> None:
        self.pause = min(max(self.pause * 2, PAUSE_MIN), PAUSE_MAX)
        self.due = now + self.pause


class ProcessDeployer:
    """ports.Deployer over one process an environment."""

    def __init__(self, config: ProcessDeploy, service: str, state_directory: Path) -> None:
        self._config, self._service, self._directory = config, service, state_directory
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)  # one an environment
        self._patience: defaultdict[Path, _Patience] = defaultdict(_Patience)

    async def deploy(self, scene: Scene, run: str, alive: Alive) -> DeployOutcome:
        """See ports.Deployer. The environment's old process ends; the new one must live for `ready` seconds."""
        try:
            wanted = self._wanted(scene)
            secrets = filled(wanted.variables, wanted.names)[1]
        except (SecretMissing, KeyError) as error:
            return DeployOutcome(False, f"the process cannot be made: {missing(error)}")
        record = self._directory / f"process.{self._service}.{scene.environment}.json"
        try:
            async with self._locks[record]:  # all through: nobody else starts anything there meanwhile
                return await self._deployed(record, wanted, secrets)
        except OSError as error:
            return DeployOutcome(False, _unrecorded(record, error))

    async def find(self, scene: Scene, run: str, alive: Alive) -> Found:
        """See ports.Deployer. It may always be done again: whatever was started before ends first."""
        return Found(None, started=False)

    def leave(self) -> None:
        """See ports.Deployer. What is not ready yet is not left: it is done again."""

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """See ports.Deployer."""
        return (executable_finding(self._config.run, self._config.directory, self._config.variables, scene),)

    async def keep(self, may_touch: Callable[[str], bool]) -> None:
        """See ports.Deployer. Starts again what ended, until cancelled."""
        while True:
            records: list[Path] = []
            with contextlib.suppress(OSError):  # no descriptors left: the next look is soon
                processes.reap()
                records = sorted(self._directory.glob(f"process.{self._service}.*.json"))
            for record in records:
                with contextlib.suppress(OSError):  # a full disk, no descriptors left: as above
                    # where a deployment is at work, too
                    if not self._locks[record].locked() and may_touch(_environment_of(record)):
                        async with self._locks[record]:
                            await self._look_after(record, may_touch)
                    _bound(_log_of(record))
            await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """See ports.Deployer. The processes go on: they carry traffic."""

    # --- parts ---

    def _wanted(self, scene: Scene) -> _Wanted:
        names = scene.names()
        return _Wanted(
            [fill(part, names) for part in self._config.run],
            fill(self._config.directory, names) if self._config.directory else None,
            dict(self._config.variables),
            facts(scene),
            names,
        )

    async def _deployed(self, record: Path, wanted: _Wanted, secrets: list[str]) -> DeployOutcome:
        """The part of a deployment that touches processes. Raises OSError where it cannot be put on record."""
        if left := await self._end_old(record):
            return DeployOutcome(False, f"the old process could not be ended: {processes.still_there(left)}")
        _bound(_log_of(record))
        begin = _size(_log_of(record))
        running = _start(record, wanted, kept=False)
        if isinstance(running, str):
            return DeployOutcome(False, running)
        try:
            lived = await self._lived(running)
        except asyncio.CancelledError:
            if left := await processes.surely(self._end(running)):
                return not_ended(f"it was not ended: {processes.still_there(left)}")
            raise
        detail = {"pid": str(running.pid), "log": str(_log_of(record))}
        if not lived:
            what = f"the process ended within {self._config.ready:g} s of its start"
            return DeployOutcome(False, what, redacted(_tail(_log_of(record), begin), secrets), detail)
        _write(record, replace(running, kept=True))
        return DeployOutcome(True, f"process {running.pid} runs", detail=detail)

    async def _look_after(self, record: Path, may_touch: Callable[[str], bool]) -> None:
        running, patience = _read(record), self._patience[record]
        now = asyncio.get_running_loop().time()
        if running is None or not running.kept:
            return
        if running.alive:
            if now >= patience.due + STEADY_SECONDS:
                patience.pause = 0.0
        elif now >= patience.due:
            patience.started(now)
            try:
                await processes.end(running.mark)  # what is left of its tree may hold its port
                if _read(record) != running or not may_touch(_environment_of(record)):
                    return  # another deployer's by now, or halted meanwhile
                why = _start(record, running.wanted, kept=True)
            except OSError as error:
                why = _unrecorded(record, error)
            if isinstance(why, str):
                _say(record, f"{why}; tried again in {patience.pause:g} s")

    async def _lived(self, running: _Running) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.ready
        while running.alive and (left := deadline - loop.time()) > 0:  # noqa: ASYNC110 - no event of ours tells
            await asyncio.sleep(min(0.05, left))
        return running.alive

    async def _end_old(self, record: Path) -> set[int]:
        """The environment's old process ends, and is no longer kept. Gives what could not be ended."""
        self._patience.pop(record, None)
        if (old := _read(record)) is None:
            return set()
        _write(record, replace(old, kept=False))
        return await self._end(old)

    async def _end(self, running: _Running) -> set[int]:
        """SIGTERM to the process itself and time to finish its requests; then whatever is left of its tree."""
        loop = asyncio.get_running_loop()
        session = running.pid if running.alive else None  # a dead one's pid may be another's
        if running.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(running.pid, signal.SIGTERM)
            deadline = loop.time() + self._config.stop_timeout
            while running.alive and loop.time() < deadline:  # noqa: ASYNC110 - no event of ours tells
                await asyncio.sleep(0.02)
        return await processes.end(running.mark, session)


def _start(record: Path, wanted: _Wanted, *, kept: bool) -> _Running | str:
    """Start, and write down what was started. Gives the reason where it cannot be started.

    Raises OSError where it cannot be put on record: nothing runs then, or what runs is found by the mark on record.
    """
    mark, own, variables = uuid4().hex, _log_of(record), dict[str, str]()
    _write(record, _Running(0, 0, mark, wanted, kept))  # should we end between start and record, it is found by this
    try:
        variables = {**wanted.facts, **filled(wanted.variables, wanted.names)[0]}
        with own.open("ab") as stream:
            pid = processes.detach(
                wanted.argv, mark=mark, output=stream, variables=variables, directory=wanted.directory
            )
    except (SecretMissing, KeyError) as error:
        return f"{wanted.argv[0]} cannot be started: {missing(error)}"
    except (OSError, ValueError) as error:
        return processes.why_not(wanted.argv, variables, wanted.directory, error)
    running = _Running(pid, processes.start_time(pid) or 0, mark, wanted, kept)
    _write(record, running)
    return running


def _write(record: Path, running: _Running) -> None:
    durable.write(record, json.dumps(asdict(running)))


def _read(record: Path) -> _Running | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found: Mapping[str, object] = json.loads(record.read_text(encoding="utf-8"))
        return _Running(**{**found, "wanted": _Wanted(**found["wanted"])})  # type: ignore[arg-type]
    return None


def _unrecorded(record: Path, error: OSError) -> str:
    return f"it cannot be started and kept on record in {record.parent}: {error.strerror}; mend that and try again"


def _say(record: Path, what: str) -> None:
    """To the daemon's log and to the process's own, where that one can be written."""
    log.warning("process not started again", environment=_environment_of(record), reason=what)
    with contextlib.suppress(OSError), _log_of(record).open("a", encoding="utf-8") as own:
        own.write(f"bluegreen: {what}\n")


def _log_of(record: Path) -> Path:
    return record.with_suffix(".log")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _bound(file: Path) -> None:
    """Keep the end of a log that grew too long beside it. The process holds it open for appending: it goes on."""
    if _size(file) > LOG_BYTES_MAX:
        file.with_suffix(".log.1").write_text(_tail(file, 0, LOG_BYTES_MAX), encoding="utf-8")
        os.truncate(file, 0)


def _tail(path: Path, begin: int, most: int = LOG_SHOWN) -> str:
    """The last `most` bytes of what was logged since `begin`."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(begin, _size(path) - most))
        return file.read(most).decode("utf-8", "replace")
    return ""


def _environment_of(record: Path) -> str:
    return record.name.split(".")[-2]
