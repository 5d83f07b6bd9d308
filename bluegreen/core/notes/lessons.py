"""What halts have taught: fingerprints, what helped, and the guards made of them. Pure.

Every halt is remembered under its fingerprint, with its answer and what became of it; the last OCCURRENCES_MAX of each
of the FINGERPRINTS_MAX kinds that were seen last. Guards made of halts are kept here too: in the journal, so that they
survive everything that the journal survives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.core.notes.occurrences import Occurrence, begun, class_of, failed_checks, fingerprint, followed, short
from bluegreen.core.notes.topic import NoteEvent
from bluegreen.model import Finding, Phase

if TYPE_CHECKING:
    from bluegreen.core.events import Halted, Record
    from bluegreen.core.state import ServiceState, Switch

FINGERPRINTS_MAX = 100
OCCURRENCES_MAX = 20

GUARD = "guard"
"""In the detail of a preflight's finding: it is of a guard that is kept here, and how that fared."""
ENFORCING, SHADOW_GOOD, SHADOW_BAD = "enforcing", "shadow: good", "shadow: would have failed"


# --- what goes on record ---


@dataclass(frozen=True, slots=True)
class LessonResolved(NoteEvent):
    """An operator said what these halts came from: a class of causes (empty: only a note), and a note."""

    fingerprint: str
    halts: tuple[str, ...]
    cause: str
    note: str


@dataclass(frozen=True, slots=True)
class LessonClosed(NoteEvent):
    """An operator closed a lesson: by a guard of that name, or by the reason for none, which is on the entry."""

    fingerprint: str
    guard: str = ""


@dataclass(frozen=True, slots=True)
class GuardAdded(NoteEvent):
    """An operator made a new preflight check for the service: `check` is its configuration as JSON, with secrets as
    references; `lesson` is the fingerprint that it is made of, where there is one. `shadow`: it only says what it would
    have done."""

    name: str
    check_kind: str
    check: str
    lesson: str = ""
    shadow: bool = True


@dataclass(frozen=True, slots=True)
class GuardEnforced(NoteEvent):
    """From here on the guard halts a preflight."""

    name: str


@dataclass(frozen=True, slots=True)
class GuardRemoved(NoteEvent):
    """An operator took the guard away; the reason is on the entry."""

    name: str


# --- what it adds up to ---


@dataclass(frozen=True, slots=True)
class Closed:
    """An operator's word that nothing more is to be done about a kind of halt; `guard` is what looks for it."""

    by: str
    at: datetime
    reason: str
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One kind of halt. `times` counts all of them; `occurrences` are the last, oldest first."""

    fingerprint: str
    phase: Phase
    checks: tuple[str, ...]
    cause: str
    times: int
    first_at: datetime
    occurrences: tuple[Occurrence, ...]
    closed: Closed | None = None

    @property
    def id(self) -> str:
        """The fingerprint's short name."""
        return short(self.fingerprint)

    @property
    def last(self) -> Occurrence:
        """The newest halt of this kind."""
        return self.occurrences[-1]


@dataclass(frozen=True, slots=True)
class Guard:
    """A preflight check made by an operator. `ran` counts the preflights that it looked at, `failed` those that it
    would have halted while in shadow, `caught` those that it did halt. `foretold` is the last switch in whose preflight
    it failed, in shadow."""

    name: str
    kind: str
    check: str
    lesson: str
    shadow: bool
    by: str
    at: datetime
    reason: str = ""
    ran: int = 0
    failed: int = 0
    caught: int = 0
    foretold: str = ""
    last: str = ""
    """What it said last."""
    enforced_by: str = ""
    enforced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lessons:
    """This topic's part of the state. `kinds` are in the order in which they were last seen; `following` are the
    fingerprints of which something is still to be learned."""

    kinds: Mapping[str, Lesson] = field(default_factory=dict)
    guards: Mapping[str, Guard] = field(default_factory=dict)
    following: frozenset[str] = frozenset()


def fold(part: Lessons, before: ServiceState, after: ServiceState, record: Record) -> Lessons:
    """One entry further."""
    from bluegreen.core import events as ev

    event = record.event
    match event:
        case LessonResolved():
            return _resolved(part, event, record)
        case LessonClosed(fingerprint=of) if of in part.kinds:
            closed = Closed(record.by, record.at, record.reason, event.guard)
            return replace(part, kinds={**part.kinds, of: replace(part.kinds[of], closed=closed)})
        case GuardAdded() | GuardEnforced() | GuardRemoved():
            return _guarded(part, event, record)
        case NoteEvent():
            return part
        case ev.PreflightPassed(findings=findings) | ev.Halted(phase=Phase.PREFLIGHT, findings=findings):
            part = replace(part, guards=_counted(part.guards, findings, record.switch or ""))
    part = _followed(part, before, after, record)
    if isinstance(event, ev.Halted) and before.open_switch is not None:
        return _learned(part, event, before.open_switch, record)
    return part


# --- halts ---


def _learned(part: Lessons, event: Halted, switch: Switch, record: Record) -> Lessons:
    """A halt goes under its fingerprint; the kind that was not seen for the longest time makes room."""
    checks, cause = failed_checks(event, switch), class_of(event)
    name = fingerprint(event.phase, checks, cause)
    known = part.kinds.get(name)
    one = begun(event, switch, record, despite(part, known, switch) if known else "")
    if known is None:
        lesson = Lesson(name, event.phase, checks, cause, 1, record.at, (one,))
    else:
        kept = (*known.occurrences, one)[-OCCURRENCES_MAX:]
        lesson = replace(known, times=known.times + 1, occurrences=kept)
    kinds = {other: kept for other, kept in part.kinds.items() if other != name} | {name: lesson}
    kinds = dict(list(kinds.items())[-FINGERPRINTS_MAX:])
    return replace(part, kinds=kinds, following=(part.following | {name}) & kinds.keys())


def despite(part: Lessons, lesson: Lesson, switch: Switch) -> str:
    """What ought to have kept a halt away that has come again; empty where nothing was to."""
    told = [_missed(guard, switch) for guard in part.guards.values() if guard.lesson == lesson.fingerprint]
    if (closed := lesson.closed) is not None and closed.guard:
        known = part.guards.get(closed.guard)
        told += [_missed(known, switch) if known else f"guard {closed.guard} did not catch it"]
    elif closed is not None and not told:
        return f"it was closed on {closed.at:%Y-%m-%d}: {closed.reason}"
    return "; ".join(dict.fromkeys(text for text in told if text))


def _missed(guard: Guard, switch: Switch) -> str:
    if guard.at > switch.started_at:
        return ""  # it was made after that preflight
    if guard.name in switch.accepted:
        return f"guard {guard.name} had caught it, and was accepted by name"
    if not guard.shadow:
        return f"guard {guard.name} did not catch it"
    if guard.foretold == switch.id:
        return f"guard {guard.name}, in shadow, would have caught it"
    return f"guard {guard.name}, in shadow, would not have caught it"


def _followed(part: Lessons, before: ServiceState, after: ServiceState, record: Record) -> Lessons:
    if not part.following:
        return part

    def further(one: Occurrence) -> Occurrence:
        return followed(one, before, after, record) if one.open else one

    part = _changed(part, part.following, further)
    still = {name for name in part.following if any(one.open for one in part.kinds[name].occurrences)}
    return part if still == part.following else replace(part, following=frozenset(still))


def _resolved(part: Lessons, event: LessonResolved, record: Record) -> Lessons:
    def noted(one: Occurrence) -> Occurrence:
        if one.halt not in event.halts:
            return one
        cause, note = event.cause or one.cause, event.note or one.note
        return replace(one, cause=cause, note=note, noted_by=record.by, noted_at=record.at)

    return _changed(part, {event.fingerprint} & part.kinds.keys(), noted)


def _changed(part: Lessons, names: Iterable[str], change: Callable[[Occurrence], Occurrence]) -> Lessons:
    """The part with these kinds' occurrences changed; the very same part where nothing is."""
    kinds = dict(part.kinds)
    for name in names:
        old = kinds[name].occurrences
        new = tuple([change(one) for one in old])
        if any(a is not b for a, b in zip(old, new, strict=True)):
            kinds[name] = replace(kinds[name], occurrences=new)
    return replace(part, kinds=kinds) if any(kinds[name] is not part.kinds[name] for name in kinds) else part


# --- guards ---


def _guarded(part: Lessons, event: GuardAdded | GuardEnforced | GuardRemoved, record: Record) -> Lessons:
    guards, kinds = dict(part.guards), part.kinds
    match event:
        case GuardAdded(name=name, check_kind=kind, check=check, lesson=lesson, shadow=shadow):
            guards[name] = Guard(name, kind, check, lesson, shadow, record.by, record.at, record.reason)
        case GuardEnforced(name=name) if name in guards:
            guards[name] = replace(guards[name], shadow=False, enforced_by=record.by, enforced_at=record.at)
        case GuardRemoved(name=name):
            guards.pop(name, None)
            kinds = {of: _opened(lesson, name) for of, lesson in kinds.items()}
        case _:  # enforced after it was taken away
            pass
    return replace(part, guards=guards, kinds=kinds)


def _opened(lesson: Lesson, guard: str) -> Lesson:
    """A lesson that was closed by a guard is open again without it."""
    return replace(lesson, closed=None) if lesson.closed is not None and lesson.closed.guard == guard else lesson


def _counted(guards: Mapping[str, Guard], findings: tuple[Finding, ...], switch: str) -> Mapping[str, Guard]:
    """What a preflight says of the guards that looked."""
    counted = dict(guards)
    for found in findings:
        fared, guard = found.detail.get(GUARD, ""), counted.get(found.check)
        if guard is None or not fared:
            continue
        guard = replace(guard, ran=guard.ran + 1, last=found.summary)
        if fared == SHADOW_BAD:
            guard = replace(guard, failed=guard.failed + 1, foretold=switch)
        elif fared == ENFORCING and not found.ok:
            guard = replace(guard, caught=guard.caught + 1)
        counted[found.check] = guard
    return counted
