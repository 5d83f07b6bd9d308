"""What feature flags were when a release came and when a switch was halted, and what was done about them. Pure.

Values are short texts: `on`, `off`, or the flag's value. What could not be read is on record as that: a difference is
told only where both of its sides were read, and an unread side is unknown, never "nothing changed".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.core.notes.topic import NoteEvent

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

SNAPSHOTS_MAX = 20
"""Deployments whose flags are remembered: as many as a warm environment may be behind."""
ACTS_MAX = 50

# --- what happened ---


@dataclass(frozen=True, slots=True)
class FlagsSeen(NoteEvent):
    """The flags were read. `when`: `deploy` (a deployment begins) and `halt` have all of them, and `of` is the switch
    or the halt; `now` has those that differ from what was on record, and in `gone` those that are no more.

    `error` is why they could not be read; `place` is where people set them, `writable` whether the daemon can.
    """

    when: str
    flags: Mapping[str, str]
    of: str = ""
    error: str = ""
    gone: tuple[str, ...] = ()
    place: str = ""
    writable: bool = False


@dataclass(frozen=True, slots=True)
class FlagSetStarted(NoteEvent):
    """The intent: an operator wants the flag to be `value`; it showed `expected` to whoever asked."""

    name: str
    value: str
    expected: str
    halt: str = ""


@dataclass(frozen=True, slots=True)
class FlagSet(NoteEvent):
    """The provider was read back and shows `after`. `recovered`: found so by looking it up."""

    name: str
    before: str
    after: str
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class FlagNotSet(NoteEvent):
    """The flag is surely not what was asked for, by this act."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FlagSetLost(NoteEvent):
    """It was sent, and whether it had an effect is not known: it is looked up until the provider tells."""

    name: str
    reason: str


# --- what that adds up to ---


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one reading gave. `of`: the switch or the halt. `error`: why nothing was read; the flags are older then."""

    of: str
    at: datetime
    flags: Mapping[str, str]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """One flag that is not what it was; None: there was, or is, no such flag."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """An operator's order to set a flag. `outcome`: `under way`, `set`, `not set`, or `unknown` (it is being looked
    up); `detail` says why."""

    name: str
    value: str
    before: str
    by: str
    at: datetime
    reason: str
    outcome: str = "under way"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Flags:
    """This topic's part of the state."""

    deploys: tuple[Snapshot, ...] = ()
    """One for each deployment, oldest first; the last SNAPSHOTS_MAX."""
    at_halt: Snapshot | None = None
    latest: Snapshot | None = None
    """The newest that is known: the last reading, with what was set since. Its `error`: the last reading failed."""
    setting: Mapping[str, Act] = field(default_factory=dict)
    """Orders without an outcome, by flag."""
    acts: tuple[Act, ...] = ()
    """Orders with an outcome, oldest first; the last ACTS_MAX."""
    place: str = ""
    writable: bool = False

    def at_deploy(self, switch: str | None = None) -> Snapshot | None:
        """The flags when that deployment began; the last one's unless named. None: not on record."""
        found = [one for one in self.deploys if switch is None or one.of == switch]
        return found[-1] if found else None

    def changed_since_deploy(self, switch: str | None = None) -> tuple[Changed, ...]:
        """Every flag that is not what it was when that deployment began (the last one, unless named), by name.

        Empty also where it is not known: ask `change_unknown` first.
        """
        then = self.at_deploy(switch)
        if then is None or self.latest is None or self.change_unknown(switch):
            return ()
        return tuple(differences(then.flags, self.latest.flags))

    def change_unknown(self, switch: str | None = None) -> str:
        """Why nobody knows what changed since that deployment began; empty where it is known."""
        then = self.at_deploy(switch)
        if then is None or self.latest is None:
            return "the flags were not read when the deployment began"
        if then.error:
            return f"the flags could not be read when the deployment began: {then.error}"
        if self.latest.error:
            return f"the flags cannot be read now: {self.latest.error}"
        doubtful = [name for name, act in self.setting.items() if act.outcome == "unknown"]
        return f"it is not known whether {', '.join(doubtful)} was set" if doubtful else ""


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Changed]:
    """What is not the same in both, by name."""
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Changed(name, before.get(name), after.get(name))


def news(
    part: Flags, shown: Mapping[str, str] | None, error: str, place: str, *, writable: bool
) -> tuple[FlagsSeen, ...]:
    """What a reading between snapshots gave that is not on record yet; `shown` is None where it failed."""
    latest = part.latest
    if shown is None:
        told_already = latest is not None and latest.error
        return () if told_already else (FlagsSeen("now", {}, error=error, place=place, writable=writable),)
    known = latest.flags if latest is not None else {}
    changed = list(differences(known, shown))
    if latest is not None and not latest.error and not changed:
        return ()
    new = {one.name: one.after for one in changed if one.after is not None}
    gone = tuple(one.name for one in changed if one.after is None)
    return (FlagsSeen("now", new, gone=gone, place=place, writable=writable),)


def fold(part: Flags, before: ServiceState, after: ServiceState, record: Record) -> Flags:
    """One entry further."""
    match record.event:
        case FlagsSeen():
            return _seen(part, record.event, record.at)
        case FlagSetStarted(name=name, value=value, expected=expected):
            act = Act(name, value, expected, record.by, record.at, record.reason)
            return replace(part, setting={**part.setting, name: act})
        case FlagSet(name=name, after=value):
            return _ended(_with_value(part, name, value, record.at), name, "set", "")
        case FlagNotSet(name=name, reason=reason):
            return _ended(part, name, "not set", reason)
        case FlagSetLost(name=name, reason=reason) if name in part.setting:
            doubtful = replace(part.setting[name], outcome="unknown", detail=reason)
            return replace(part, setting={**part.setting, name: doubtful})
        case _:
            return part


def _seen(part: Flags, seen: FlagsSeen, at: datetime) -> Flags:
    known = part.latest.flags if part.latest is not None else {}
    told = Snapshot(seen.of, at, seen.flags, seen.error)
    if seen.error:
        latest = Snapshot(seen.of, at, known, seen.error)
    elif seen.when == "now":
        kept = {name: value for name, value in known.items() if name not in seen.gone}
        latest = Snapshot(seen.of, at, {**kept, **seen.flags})
    else:
        latest = told
    part = replace(part, latest=latest, place=seen.place, writable=seen.writable)
    if seen.when == "deploy":
        return replace(part, deploys=(*part.deploys, told)[-SNAPSHOTS_MAX:])
    return replace(part, at_halt=told) if seen.when == "halt" else part


def _with_value(part: Flags, name: str, value: str, at: datetime) -> Flags:
    if part.latest is None:
        return part
    return replace(part, latest=replace(part.latest, at=at, flags={**part.latest.flags, name: value}))


def _ended(part: Flags, name: str, outcome: str, detail: str) -> Flags:
    if (act := part.setting.get(name)) is None:
        return part
    rest = {other: one for other, one in part.setting.items() if other != name}
    ended = replace(act, outcome=outcome, detail=detail)
    return replace(part, setting=rest, acts=(*part.acts, ended)[-ACTS_MAX:])
