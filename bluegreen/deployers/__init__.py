"""Deployers, one file a kind. A kind that is not in KINDS is refused; there is no default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bluegreen.config import schema
from bluegreen.deployers.command import CommandDeployer
from bluegreen.deployers.process import ProcessDeployer
from bluegreen.errors import BlueGreenError
from bluegreen.ports import Deployer

KINDS: dict[str, Callable[[Any, str, Path], Deployer]] = {
    "command": CommandDeployer,
    "process": ProcessDeployer,
}


def open_deployer(config: schema.Deploy, service: str, state_directory: Path) -> Deployer:
    """The deployer of a service; nothing is started."""
    if config.kind not in KINDS:
        raise BlueGreenError(f"unknown deployer kind {config.kind!r}", f"known: {', '.join(KINDS)}")
    return KINDS[config.kind](config, service, state_directory)
