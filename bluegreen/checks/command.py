"""Run a program: it ends with 0 when all is well."""

from __future__ import annotations

from pathlib import Path

from bluegreen import processes
from bluegreen.checks.common import EXCERPT_MAX, Sight, excerpt, filled
from bluegreen.config import values
from bluegreen.config.schema import Check
from bluegreen.ports import Scene

LINE_MAX = 200


class CommandCheck:
    """An argument list, never a shell line; its whole tree ends with its time."""

    def __init__(self, config: Check) -> None:
        self._config = config

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        names = scene.names()
        argv = [filled(part, names) for part in self._config.command or []]
        variables, secrets = values.filled(self._config.variables, names)
        directory = filled(self._config.directory, names) if self._config.directory else None
        done = await processes.run(
            argv, timeout=self._config.timeout, variables=variables, directory=directory, secrets=secrets
        )
        last = done.output.strip().rsplit("\n", 1)[-1][:LINE_MAX]
        said = f": {last}" if last and not done.ok else ""
        detail = {"command": excerpt(" ".join(argv), secrets), "output": done.output[-EXCERPT_MAX:]}
        return Sight(done.ok, done.told(Path(argv[0]).name) + said, detail)

    async def close(self) -> None:
        """See common.Look."""
