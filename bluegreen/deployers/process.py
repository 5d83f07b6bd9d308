"""The daemon runs the environment's process itself and keeps it running: the demo's way, and that of small hosts.

The process carries production traffic, so it outlives the daemon: it has a session of its own, logs to a file, and is
found again by a small record of its pid and start time. What ended by itself is started again, with a growing pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from bluegreen import processes
from bluegreen.config.placeholders import fill
from bluegreen.config.schema import ProcessDeploy
from bluegreen.config.secrets import SecretMissing, resolve
from bluegreen.deployers.command import executable_finding, facts
from bluegreen.model import Finding
from bluegreen.ports import DeployOutcome, Scene

LOOK_EVERY = 0.5
PAUSE_MIN, PAUSE_MAX = 0.5, 30.0
LOG_BYTES_MAX = 4 * 1024 * 1024
LOG_SHOWN = 4000


@dataclass(frozen=True, slots=True)
class _Running:
    """What is on record of an environment's process; enough to find it, and to start it again."""

    pid: int
    started: int
    argv: list[str]
    directory: str | None
    variables: dict[str, str]
    mark: str


class ProcessDeployer:
    """ports.Deployer over one process an environment."""

    def __init__(self, config: ProcessDeploy, service: str, state_directory: Path) -> None:
        self._config, self._service, self._directory = config, service, state_directory
        self._lock = asyncio.Lock()
        self._pauses: dict[Path, float] = {}
        self._due: dict[Path, float] = {}
        self._children: dict[int, subprocess.Popen[bytes]] = {}  # noqa: TID251 - see _start

    async def deploy(self, scene: Scene) -> DeployOutcome:
        """See ports.Deployer. The environment's old process ends; the new one must live for `ready` seconds."""
        try:
            names = scene.names()
            argv = [fill(part, names) for part in self._config.run]
            directory = fill(self._config.directory, names) if self._config.directory else None
            variables = {**facts(scene), **{key: fill(text, names) for key, text in self._config.variables.items()}}
        except KeyError as error:
            return DeployOutcome(False, f"the process cannot be made: {error} has no value")
        record = self._record(scene.environment)
        async with self._lock:
            if (old := _read(record)) is not None:
                await self._end(old)
            running = self._start(record, argv, directory, variables)
        if isinstance(running, str):
            return DeployOutcome(False, running)
        return await self._lived(running, record)

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """See ports.Deployer."""
        return (executable_finding(self._config.run, self._config.directory, self._config.variables, scene),)

    async def keep(self) -> None:
        """See ports.Deployer. Starts again what ended, until cancelled."""
        while True:
            self._reap()
            for record in sorted(self._directory.glob(f"process-{self._service}-*.json")):
                async with self._lock:
                    await self._look_after(record)
            await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """See ports.Deployer. The processes go on: they carry traffic."""

    # --- parts ---

    async def _look_after(self, record: Path) -> None:
        running = _read(record)
        now = asyncio.get_running_loop().time()
        if running is None or _alive(running):
            if running is not None and now >= self._due.get(record, 0.0):
                self._pauses.pop(record, None)
            return
        if now < self._due.get(record, 0.0):
            return
        pause = self._pauses[record] = min(self._pauses.get(record, PAUSE_MIN / 2) * 2, PAUSE_MAX)
        self._due[record] = now + pause
        self._start(record, running.argv, running.directory, running.variables)

    def _start(self, record: Path, argv: list[str], directory: str | None, variables: dict[str, str]) -> _Running | str:
        """Start, and write down what was started. Gives the reason where it cannot be."""
        mark, log = uuid4().hex, _log_of(record)
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))
        try:
            resolved = {name: resolve(text) for name, text in variables.items()}
            with log.open("ab") as stream:
                # not asyncio's: its transport kills the process when the daemon ends, and this one carries traffic
                process = subprocess.Popen(  # noqa: TID251, S603 - an argument list from the configuration
                    argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=directory,
                    env={**processes.environment(resolved), processes.MARK: mark}, start_new_session=True,
                )  # fmt: skip
        except (OSError, SecretMissing) as error:
            return f"{argv[0]} cannot be started: {error}"
        self._children[process.pid] = process
        running = _Running(process.pid, _started(process.pid) or 0, argv, directory, variables, mark)
        new = record.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(record)
        return running

    async def _lived(self, running: _Running, record: Path) -> DeployOutcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.ready
        while loop.time() < deadline:
            if not _alive(running):
                return DeployOutcome(
                    False,
                    f"the process ended within {self._config.ready:g} s of its start",
                    _tail(_log_of(record)),
                )
            await asyncio.sleep(min(0.05, self._config.ready))
        detail = {"pid": str(running.pid), "log": str(_log_of(record))}
        return DeployOutcome(True, f"process {running.pid} runs", detail=detail)

    async def _end(self, running: _Running) -> None:
        """SIGTERM to the process itself and time to finish its requests; then whatever is left of its tree."""
        if _alive(running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGTERM)
            deadline = asyncio.get_running_loop().time() + self._config.stop_timeout
            while _alive(running) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - not our loop's
                await asyncio.sleep(0.02)
        await processes.end(running.mark)
        self._reap()

    def _reap(self) -> None:
        """Children that ended: without this they would stay as zombies."""
        self._children = {pid: child for pid, child in self._children.items() if child.poll() is None}

    def _record(self, environment: str) -> Path:
        return self._directory / f"process-{self._service}-{environment}.json"


def _read(record: Path) -> _Running | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return _Running(**json.loads(record.read_text(encoding="utf-8")))
    return None


def _alive(running: _Running) -> bool:
    """Whether that very process still runs: a pid alone may be another's by now; a zombie runs no more."""
    return _started(running.pid) == running.started


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] in ("Z", "X") else int(stat[19])


def _log_of(record: Path) -> Path:
    return record.with_suffix(".log")


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace")[-LOG_SHOWN:]
    return ""
