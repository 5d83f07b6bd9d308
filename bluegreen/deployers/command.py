"""Deploy by a command: an argument list with placeholders, never a shell line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bluegreen import processes
from bluegreen.config.placeholders import fill
from bluegreen.config.schema import CommandDeploy
from bluegreen.config.secrets import SecretMissing
from bluegreen.config.values import filled, redacted
from bluegreen.model import Finding
from bluegreen.ports import DeployOutcome, Scene


class CommandDeployer:
    """ports.Deployer by one command that ends with 0 when the release is in the environment."""

    def __init__(self, config: CommandDeploy) -> None:
        self._config = config

    async def deploy(self, scene: Scene) -> DeployOutcome:
        """See ports.Deployer."""
        try:
            names = scene.names()
            argv = [fill(part, names) for part in self._config.run]
            variables, secrets = filled(self._config.variables, names)
            directory = fill(self._config.directory, names) if self._config.directory else None
        except (SecretMissing, KeyError) as error:
            return DeployOutcome(False, f"the command cannot be made: {missing(error)}")
        done = await processes.run(
            argv, timeout=self._config.timeout, variables={**facts(scene), **variables}, directory=directory,
            secrets=secrets,
        )  # fmt: skip
        detail = {"command": redacted(" ".join(argv), secrets), "seconds": f"{done.seconds:.1f}"}
        if done.exit_code is not None:
            detail["exit"] = str(done.exit_code)
        return DeployOutcome(done.ok, done.told(Path(argv[0]).name), done.output, detail)

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """See ports.Deployer."""
        return (executable_finding(self._config.run, self._config.directory, self._config.variables, scene),)

    async def keep(self, may_touch: Callable[[str], bool]) -> None:
        """See ports.Deployer. A command leaves nothing to keep."""

    async def close(self) -> None:
        """See ports.Deployer."""


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
    try:
        names = scene.names()
        program, *_ = [fill(part, names) for part in run]
        where = Path(fill(directory, names)) if directory else Path.cwd()
        given, _ = filled(variables, names)
    except KeyError as error:
        return Finding("deploy command", False, missing(error), "mend `deploy`")
    except SecretMissing as error:
        return Finding("deploy command", False, error.what, error.advice)
    if not where.is_dir():
        return Finding("deploy command", False, f"the directory {where} does not exist", "mend `deploy.directory`")
    path = str(where / program) if os.sep in program else program
    if shutil.which(path, path=given.get("PATH")) is None:
        what = "may not be run" if os.sep in program and Path(path).exists() else "does not exist"
        return Finding("deploy command", False, f"{path} {what}", "mend `deploy.run`, or the file's rights")
    return Finding("deploy command", True, f"{path} can be run")
