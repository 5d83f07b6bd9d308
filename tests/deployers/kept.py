"""What the tests of ProcessDeployer share."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bluegreen.deployers.process import ProcessDeployer
from bluegreen.ports import DeployOutcome, Scene

Open = Callable[..., ProcessDeployer]
NOTE = 'echo $$ >> "$1"; '
"""The beginning of a shell line that writes down its pid."""


def scene(version: str = "1", environment: str = "green", **values: str) -> Scene:
    """The candidate's side."""
    return Scene("web", environment, version, None, values)


@contextlib.asynccontextmanager
async def kept(deployer: ProcessDeployer) -> AsyncIterator[None]:
    """`keep` runs for as long as this."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(deployer.keep(lambda _: True))
        try:
            yield
        finally:
            keeping.cancel()


def pid_of(done: DeployOutcome) -> int:
    """The pid of what was deployed, which went well."""
    assert done.ok, done
    return int(done.detail["pid"])


def record_in(directory: Path) -> dict[str, Any]:
    """What is on record of web's green process."""
    return dict(json.loads((directory / "process.web.green.json").read_text()))


def quiet(what: str) -> None:
    """ports.Alive for whom it is enough that the process lives."""
