"""Whether a failback is possible: when the warm side's readiness was lost and found again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.core.notes.topic import NoteEvent

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState


@dataclass(frozen=True, slots=True)
class WarmReadinessLost(NoteEvent):
    """A failback to the environment would not go through: more than one look in a row has found so."""

    environment: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmReadinessFound(NoteEvent):
    """Everything that a failback to the environment needs was proven again, more than once in a row."""

    environment: str


@dataclass(frozen=True, slots=True)
class WarmSide:
    """This topic's part of the state: the environment that a failback would go to and whose readiness is lost, why, and
    since when; all of it empty while nothing is lost."""

    environment: str = ""
    lost: tuple[str, ...] = ()
    since: datetime | None = None


def fold(part: WarmSide, before: ServiceState, after: ServiceState, record: Record) -> WarmSide:
    """One entry further. What is lost is forgotten when a failback would not go there any more."""
    from bluegreen.core.readiness import goals  # it asks `admit`, and that needs the state, of which this is a part

    match record.event:
        case WarmReadinessLost(environment=environment, reasons=reasons):
            return WarmSide(environment, reasons, record.at)
        case WarmReadinessFound():
            return WarmSide()
        case _:
            return part if not part.lost or goals(after)[:1] == (part.environment,) else WarmSide()
