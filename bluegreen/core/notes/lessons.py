"""What halts have taught: fingerprints, what helped, and the guards made of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class Lessons:
    """This topic's part of the state."""


def fold(part: Lessons, before: ServiceState, after: ServiceState, record: Record) -> Lessons:
    """One entry further."""
    return part
