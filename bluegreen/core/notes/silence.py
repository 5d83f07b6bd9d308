"""Switch points that could not be read for long, whatever goes on: what a person is told of beside the halts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bluegreen.core.notes.topic import NoteEvent

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

SILENT_SECONDS = 300.0
"""For so long a switch point gives no reading before that is on record."""
QUIET = timedelta(hours=1)
"""One that falls silent again so soon is a flap: it is told of once it has lasted as long."""


@dataclass(frozen=True, slots=True)
class BalancerSilent(NoteEvent):
    """A switch point could not be read since then, for minutes: what it shows is unknown, not unchanged."""

    point: str
    since: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class BalancerHeard(NoteEvent):
    """It was read again."""

    point: str


@dataclass(frozen=True, slots=True)
class Silence:
    """The last one of a switch point. `heard`: when it was over; `flap`: it came soon after the one before."""

    since: datetime
    why: str
    heard: datetime | None = None
    flap: bool = False


@dataclass(frozen=True, slots=True)
class Silences:
    """This topic's part of the state, by switch point."""

    points: Mapping[str, Silence] = field(default_factory=dict)

    @property
    def lasting(self) -> frozenset[str]:
        """Those that are not over."""
        return frozenset(name for name, one in self.points.items() if one.heard is None)


@dataclass(frozen=True, slots=True)
class Unread:
    """What a look has found of a point that gives no reading: since when (by the clock, and in seconds), and why."""

    since: datetime
    seconds: float
    why: str


def news(part: Silences, unread: Mapping[str, Unread], answering: Collection[str]) -> Sequence[NoteEvent]:
    """What a look means. `answering`: the points that were read, or said for certain why there is nothing to read."""
    lasting = part.lasting
    return (
        *(BalancerHeard(name) for name in sorted(lasting & set(answering))),
        *(
            BalancerSilent(name, one.since, one.why)
            for name, one in unread.items()
            if one.seconds >= SILENT_SECONDS and name not in lasting
        ),
    )


def fold(part: Silences, before: ServiceState, after: ServiceState, record: Record) -> Silences:
    """One entry further."""
    from bluegreen.core import events as ev

    match record.event:
        case BalancerSilent(point=point, since=since, why=why):
            last = part.points.get(point)
            flap = last is not None and (last.heard is None or abs(since - last.heard) < QUIET)
            return Silences({**part.points, point: Silence(since, why, flap=flap)})
        case BalancerHeard(point=point) if point in part.points:
            return Silences({**part.points, point: replace(part.points[point], heard=record.at)})
        case ev.PointForgotten(point=point) if point in part.points:
            return Silences({name: one for name, one in part.points.items() if name != point})
        case _:
            return part
