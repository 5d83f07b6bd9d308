"""What a service's feature flags were, when a release came and when a switch was halted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class Flags:
    """This topic's part of the state."""


def fold(part: Flags, before: ServiceState, after: ServiceState, record: Record) -> Flags:
    """One entry further."""
    return part
