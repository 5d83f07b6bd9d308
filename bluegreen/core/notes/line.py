"""Who has a halt in hand, who was told of what how often, and how long people were awaited. Pure.

A claim belongs to one halt, and changes nothing in what is lawful. What was told is kept by its subject (a halt, an
approval, a drift), so that no restart tells it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.core.notes.topic import NoteEvent
from bluegreen.model import Condition

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

SUBJECTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Claimed(NoteEvent):
    """Somebody says: I have it. A claim of somebody else takes it over."""

    halt: str


@dataclass(frozen=True, slots=True)
class ClaimDropped(NoteEvent):
    """Nobody has it any more."""

    halt: str


@dataclass(frozen=True, slots=True)
class Notified(NoteEvent):
    """A notice was sent, for the `times`-th time: `told` took it, `failed` did not, by name, with why."""

    subject: str
    times: int
    told: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has a halt in hand, since when."""

    halt: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the last notice about something."""

    times: int
    at: datetime
    told: tuple[str, ...]
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """This topic's part of the state."""

    claim: Claim | None = None
    before: tuple[Claim, ...] = ()
    """Who had this halt in hand before, oldest first."""
    notices: Mapping[str, Told] = field(default_factory=dict)
    """By subject; the last SUBJECTS_MAX."""
    since: datetime | None = None
    """Since when a person is awaited, where one is."""
    waited: float = 0.0
    """Seconds in which a person was awaited, before that."""


def fold(part: Line, before: ServiceState, after: ServiceState, record: Record) -> Line:
    """One entry further."""
    match record.event:
        case Claimed(halt=halt):
            earlier = (*part.before, part.claim) if part.claim is not None else part.before
            return replace(part, claim=Claim(halt, record.by, record.at), before=earlier)
        case ClaimDropped():
            earlier = (*part.before, part.claim) if part.claim is not None else part.before
            return replace(part, claim=None, before=earlier)
        case Notified(subject=subject, times=times, told=told, failed=failed):
            kept = {name: one for name, one in part.notices.items() if name != subject}
            kept[subject] = Told(times, record.at, told, failed)
            return replace(part, notices=dict(list(kept.items())[-SUBJECTS_MAX:]))
    if _halt(before) != _halt(after):
        part = replace(part, claim=None, before=())
    return _waited(part, after, record.at)


def _halt(state: ServiceState) -> str | None:
    switch = state.open_switch
    return switch.halt.id if switch is not None and switch.halt is not None else None


def _waited(part: Line, after: ServiceState, at: datetime) -> Line:
    switch = after.open_switch
    awaited = switch is not None and (switch.condition is Condition.HALTED or switch.awaiting_approval)
    if awaited and part.since is None:
        return replace(part, since=at)
    if not awaited and part.since is not None:
        return replace(part, since=None, waited=part.waited + max((at - part.since).total_seconds(), 0.0))
    return part
