"""Whether a failback is possible: when the warm side's readiness was lost and found again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class WarmSide:
    """This topic's part of the state."""


def fold(part: WarmSide, before: ServiceState, after: ServiceState, record: Record) -> WarmSide:
    """One entry further."""
    return part
