"""The shape of a service's own sources of evidence. Types only."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from bluegreen.config.model import Model
from bluegreen.config.units import Command, Duration, Name

SECONDS_MAX = 5.0


def _short(seconds: float) -> float:
    if seconds > SECONDS_MAX:
        raise ValueError(f"wanted {SECONDS_MAX:g}s at the most: the evidence is sealed within 10, whatever hangs")
    return seconds


class EvidenceCommand(Model):
    """A command whose output is kept at a halt: an argument list, never a shell line."""

    name: Name
    command: Command
    timeout: Annotated[Duration, AfterValidator(_short)] = SECONDS_MAX
    directory: str | None = None
    variables: dict[str, str] = Field(default_factory=dict, description="environment variables, secrets by reference")
