"""Flags by programs: one prints them as JSON, another one sets one. Argument lists, never a shell line."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bluegreen import processes
from bluegreen.config import values
from bluegreen.config.flags import FlagCommand, FlagSource
from bluegreen.config.placeholders import fill
from bluegreen.errors import OutcomeUnknown, Rejected, Unreachable
from bluegreen.flags.values import text
from bluegreen.model import Finding

OUTPUT_MAX = 1024 * 1024
_SAID_MAX = 300


class CommandFlags:
    """ports.Flags. A write that does not end with 0 may have set the flag or not: it is looked up by reading."""

    def __init__(self, config: FlagSource, service: str) -> None:
        if config.command is None:
            raise AssertionError("the configuration has the kind")
        self._config: FlagCommand = config.command
        self._timeout, self.every, self._service = config.timeout, config.every, service
        self.writable = config.command.write is not None
        self._mark = _mark(service, config.command)
        self.place = f"what `{' '.join(config.command.read)}` reads"

    @property
    def settle(self) -> float:
        """See ports.Flags. A program that another daemon began may outlive it: while it runs, nobody knows."""
        try:
            return math.inf if processes.members(self._mark) else self._timeout
        except OSError:  # it cannot be looked
            return math.inf

    async def read(self) -> Mapping[str, str]:
        """See ports.Flags."""
        done, secrets = await self._run(self._config.read, {})
        if not done.ok:
            raise Unreachable(f"{done.told(_program(self._config.read))}{_last(done)}")
        try:
            document = json.loads(done.output)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            what = f"{_program(self._config.read)} did not print a JSON object{_last(done)}"
            raise Rejected(what, "wanted {name: true, false or a value} on standard output, and nothing else")
        return {
            values.redacted(name, secrets): values.redacted(text(value), secrets) for name, value in _items(document)
        }

    async def write(self, name: str, value: str, expected: str) -> None:
        """See ports.Flags."""
        if self._config.write is None:
            raise Rejected("no command sets flags", "add `flags.command.write` to the service's file")
        done, _ = await self._run(self._config.write, {"flag": name, "value": value}, self._mark)
        if done.ok:
            return
        what = f"{done.told(_program(self._config.write))}{_last(done)}"
        if done.exit_code is None and not done.timed_out:
            raise Rejected(f"{what}; nothing was started")
        raise OutcomeUnknown(what)

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Flags; what surrounds a provider tells it."""
        return ()

    async def close(self) -> None:
        """See ports.Flags."""

    async def _run(
        self, command: Sequence[str], more: Mapping[str, str], mark: str | None = None
    ) -> tuple[processes.Finished, list[str]]:
        names = {"service": self._service, **more}
        variables, secrets = values.filled(self._config.variables, {"service": self._service})
        argv = [fill(part, names) for part in command]
        directory = fill(self._config.directory, names) if self._config.directory else None
        done = await processes.run(
            argv, timeout=self._timeout, variables=variables, directory=directory, output_max=OUTPUT_MAX,
            secrets=secrets, mark=mark, apart=True,
        )  # fmt: skip
        return done, secrets


def _mark(service: str, command: FlagCommand) -> str:
    """What the programs that set this service's flags are found by, by this daemon and by the next one."""
    what = json.dumps([command.directory, command.write])
    return f"flags-{service}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def _items(document: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(text(name), value) for name, value in document.items()]


def _program(command: Sequence[str]) -> str:
    return Path(command[0]).name


def _last(done: processes.Finished) -> str:
    last = (done.errors.strip() or done.output.strip()).rsplit("\n", 1)[-1][:_SAID_MAX]
    return f": {last}" if last else ""
