"""Which bundle of evidence belongs to which halt. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class Evidence:
    """This topic's part of the state."""


def fold(part: Evidence, before: ServiceState, after: ServiceState, record: Record) -> Evidence:
    """One entry further."""
    return part
