"""Deploy by a command: an argument list with placeholders, never a shell line.

The command outlives the daemon: a keeper stays with it (see `runs`), and the next daemon finds it and its end again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from bluegreen import processes, programs
from bluegreen.config.placeholders import fill
from bluegreen.config.schema import CommandDeploy
from bluegreen.config.secrets import SecretMissing
from bluegreen.config.values import filled
from bluegreen.deployers.runs import RunNotStarted, Runs
from bluegreen.model import Finding
from bluegreen.ports import Alive, DeployOutcome, Found, Scene, not_ended


class CommandDeployer:
    """ports.Deployer by one command that ends with 0 when the release is in the environment."""

    def __init__(self, config: CommandDeploy, service: str, state_directory: Path) -> None:
        self._config, self._runs, self._left = config, Runs(state_directory / "runs", service), False

    async def deploy(self, scene: Scene, run: str, alive: Alive) -> DeployOutcome:
        """See ports.Deployer. What is left of earlier runs in this environment ends first."""
        try:
            names = scene.names()
            argv = [fill(part, names) for part in self._config.run]
            variables, secrets = filled(self._config.variables, names)
            directory = fill(self._config.directory, names) if self._config.directory else None
        except (SecretMissing, KeyError) as error:
            return DeployOutcome(False, f"the command cannot be made: {missing(error)}")
        given, timeout = {**facts(scene), **variables}, self._config.timeout
        file = self._runs.file(scene.environment, run)
        try:
            await processes.surely(self._runs.start(file, argv, given, directory, secrets, timeout))
            outcome, why = await self._ended(file, alive), "its keeper was ended"
        except RunNotStarted as error:
            return DeployOutcome(False, f"{argv[0]} cannot be started and kept on record: {error}")
        except OSError as error:
            outcome, why = None, str(error)
        except asyncio.CancelledError:
            if left := await self._cancelled(file):
                return left
            raise
        return outcome or DeployOutcome(False, f"what became of the command is not known: {why}")

    async def find(self, scene: Scene, run: str, alive: Alive) -> Found:
        """See ports.Deployer."""
        file = self._runs.file(scene.environment, run)
        try:
            if not self._runs.started(file):
                return Found(None, started=False)
            return Found(await self._ended(file, alive), started=True)
        except OSError:  # it cannot be looked up: what became of it is not known
            return Found(None, started=True)
        except asyncio.CancelledError:
            if left := await self._cancelled(file):
                return Found(left, started=True)
            raise

    def leave(self) -> None:
        """See ports.Deployer."""
        self._left = True

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """See ports.Deployer."""
        return (executable_finding(self._config.run, self._config.directory, self._config.variables, scene),)

    async def keep(self, may_touch: Callable[[str], bool]) -> None:
        """See ports.Deployer. A command leaves nothing to keep."""

    async def close(self) -> None:
        """See ports.Deployer."""

    # --- parts ---

    async def _ended(self, file: Path, alive: Alive) -> DeployOutcome | None:
        """The outcome of what was started; None where it is lost."""
        ended = await self._runs.ended(file, alive)
        if ended is None:
            return None
        command, done = ended
        detail = {"command": " ".join(command), "seconds": f"{done.seconds:.1f}"}
        if done.exit_code is not None:
            detail["exit"] = str(done.exit_code)
        return DeployOutcome(done.ok, done.told(Path(command[0]).name), done.output, detail)

    async def _cancelled(self, file: Path) -> DeployOutcome | None:
        """End it. What could not be ended, or looked for, is its outcome: nobody else would say so."""
        if self._left:
            return None
        try:
            left = await processes.surely(self._runs.end(file))
        except OSError as error:
            return not_ended(f"whether it was ended is not known: {error.strerror or error}")
        return not_ended(f"it was not ended: {processes.still_there(left)}") if left else None


def facts(scene: Scene) -> dict[str, str]:
    """What every program is told by its environment."""
    return {
        "BLUEGREEN_SERVICE": scene.service,
        "BLUEGREEN_ENVIRONMENT": scene.environment,
        "BLUEGREEN_VERSION": scene.version or "",
        "BLUEGREEN_ARTIFACT": scene.artifact or "",
    }


def missing(error: SecretMissing | KeyError) -> str:
    """In words, what could not be had."""
    return str(error) if isinstance(error, SecretMissing) else f"the placeholder {{{error.args[0]}}} has no value"


def executable_finding(run: list[str], directory: str | None, variables: Mapping[str, str], scene: Scene) -> Finding:
    """Whether the program is there and may be run, and everything that it is given can be had."""
    found = programs.examine(programs.Program("deploy.run", run, directory, variables), scene.names())
    return Finding("deploy command", found.ok, found.summary, found.advice)
