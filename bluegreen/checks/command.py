"""Run a program: it ends with 0 when all is well."""

from __future__ import annotations

from pathlib import Path

from bluegreen import processes
from bluegreen.checks.common import Sight, excerpt, filled
from bluegreen.config.schema import Check
from bluegreen.config.secrets import references, resolve
from bluegreen.ports import Scene


class CommandCheck:
    """An argument list, never a shell line; its whole tree ends with its time."""

    def __init__(self, config: Check) -> None:
        self._config = config

    async def once(self, scene: Scene) -> Sight:
        """See common.Look."""
        names = scene.names()
        argv = [filled(part, names) for part in self._config.command or []]
        variables = {name: resolve(filled(text, names)) for name, text in self._config.variables.items()}
        secrets = [resolve(one) for text in self._config.variables.values() for one in references(text)]
        directory = filled(self._config.directory, names) if self._config.directory else None
        done = await processes.run(argv, timeout=self._config.timeout, variables=variables, directory=directory)
        program = Path(argv[0]).name
        output = done.output[-1000:]
        detail = {"command": excerpt(" ".join(argv), secrets), "output": excerpt(output, secrets)}
        if done.exit_code is None:
            return Sight(False, f"{program} {done.reason}", detail)
        last = excerpt(output.strip().rsplit("\n", 1)[-1][:200], secrets)
        said = f": {last}" if last and not done.ok else ""
        return Sight(done.ok, f"{program} ended with {done.exit_code} after {done.seconds:.1f} s{said}", detail)

    async def close(self) -> None:
        """See common.Look."""
