"""Deploy by a command: an argument list with placeholders, never a shell line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bluegreen import processes
from bluegreen.config.placeholders import fill
from bluegreen.config.schema import CommandDeploy
from bluegreen.config.secrets import SecretMissing, references, resolve
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
            variables, secrets = filled(self._config.variables, scene)
            directory = fill(self._config.directory, names) if self._config.directory else None
        except (SecretMissing, KeyError) as error:
            return DeployOutcome(False, f"the command cannot be made: {error}")
        done = await processes.run(
            argv, timeout=self._config.timeout, variables={**facts(scene), **variables}, directory=directory
        )
        output = redacted(done.output, secrets)
        program = Path(argv[0]).name
        if done.exit_code is None:
            return DeployOutcome(False, done.reason if program in done.reason else f"{program} {done.reason}", output)
        detail = {"command": " ".join(argv), "seconds": f"{done.seconds:.1f}", "exit": str(done.exit_code)}
        return DeployOutcome(
            done.ok, f"{program} ended with {done.exit_code} after {done.seconds:.1f} s", output, detail
        )

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        """See ports.Deployer."""
        return (executable_finding(self._config.run, self._config.directory, self._config.variables, scene),)

    async def keep(self) -> None:
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


def filled(variables: Mapping[str, str], scene: Scene) -> tuple[dict[str, str], list[str]]:
    """Variables with placeholders and secrets filled in, and the secrets among them. Raises SecretMissing, KeyError."""
    names = scene.names()
    made = {name: resolve(fill(text, names)) for name, text in variables.items()}
    secrets = [resolve(one) for text in variables.values() for one in references(text)]
    return made, [secret for secret in secrets if secret]


def redacted(output: str, secrets: list[str]) -> str:
    """The output without the secrets that were handed to the program."""
    for secret in sorted(secrets, key=len, reverse=True):
        output = output.replace(secret, "***")
    return output


def executable_finding(run: list[str], directory: str | None, variables: Mapping[str, str], scene: Scene) -> Finding:
    """Whether the program is there and may be run, and everything that it is given can be had."""
    try:
        names = scene.names()
        program = fill(run[0], names)
        for part in run:
            fill(part, names)
        where = Path(fill(directory, names)) if directory else Path.cwd()
        filled(variables, scene)
    except KeyError as error:
        return Finding("deploy command", False, f"the placeholder {{{error.args[0]}}} has no value", "mend `deploy`")
    except SecretMissing as error:
        return Finding("deploy command", False, error.what, error.advice)
    if not where.is_dir():
        return Finding("deploy command", False, f"the directory {where} does not exist", "mend `deploy.directory`")
    path = str(where / program) if os.sep in program else program
    if shutil.which(path) is None:
        what = "may not be run" if Path(path).exists() else "does not exist"
        return Finding("deploy command", False, f"{path} {what}", "mend `deploy.run`, or the file's rights")
    return Finding("deploy command", True, f"{path} can be run")
