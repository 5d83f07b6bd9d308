"""Who has a halt in hand, and who was told of it how often. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class Line:
    """This topic's part of the state."""


def fold(part: Line, before: ServiceState, after: ServiceState, record: Record) -> Line:
    """One entry further."""
    return part
