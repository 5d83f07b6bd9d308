"""Which notices are due now: what happened, to whom it is told, how loudly. Pure.

An old halt may only notify more loudly: nothing else ever follows from its age. What was told is on record
(notes.line), so a restart tells nothing twice; where several are due at once (the daemon was away, the clock was set),
one is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bluegreen.core.halts import advised
from bluegreen.core.notes.silence import QUIET, Silence
from bluegreen.core.state import Halt, ServiceState, Switch

NEWS_SECONDS = 3600.0
"""The end of a switch that is older than this is no news: a notifier that is new is not told of the past."""


@dataclass(frozen=True, slots=True)
class Due:
    """One notice. `subject` is what it is about, the same for each repetition; `times` counts this one."""

    subject: str
    kind: str
    times: int
    summary: str
    advice: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Ages in seconds, rising, at which an unclaimed halt is told again; after the last one it goes on at that
    interval. `reminder`: a claimed halt is told again after so long, to whoever has it."""

    escalate: tuple[float, ...]
    reminder: float


def due(state: ServiceState, schedule: Schedule, now: datetime) -> Sequence[Due]:
    """What is to be told now."""
    return tuple(one for one in _all(state, schedule, now) if one.times > _told(state, one.subject))


def next_at(state: ServiceState, schedule: Schedule, now: datetime) -> float | None:
    """In how many seconds something may be due because time has passed; None: only when something happens."""
    switch = state.open_switch
    if switch is None or switch.halt is None:
        return None
    began, ages = _halt_ages(state, switch.halt, schedule)
    passed = (now - began).total_seconds()
    return max(_next(ages, passed) - passed, 0.1)


def _all(state: ServiceState, schedule: Schedule, now: datetime) -> Iterator[Due]:
    switch = state.switch
    if switch is not None and switch.halt is not None:
        yield from _halted(state, switch, switch.halt, schedule, now)
    if switch is not None and switch.awaiting_approval:
        what = f"{switch.id}: a person's word is awaited at step {switch.index + 1} of {len(switch.steps)}"
        yield Due(f"approval:{switch.id}:{switch.index}", "pause", 1, what, f"bluegreen approve {state.service}")
    if switch is not None and switch.ended_at and (now - switch.ended_at).total_seconds() <= NEWS_SECONDS:
        version = switch.version or "an unnamed version"
        what = f"{switch.kind} of {version} to {switch.candidate}: {switch.condition.replace('_', ' ')}"
        yield Due(f"end:{switch.id}", "ended", 1, what, by=switch.ended_by)
    for drift in state.drift.values():
        if drift.left is None:
            what = f"somebody else changed {drift.point}: it {drift.shows}, expected was {drift.expected}"
            yield Due(f"drift:{drift.id}", "drift", 1, what, f"bluegreen explain {state.service}")
    for point, silence in state.notes.silence.points.items():
        yield from _silent(state, point, silence, now)
    warm = state.notes.warm
    if warm.lost and warm.since is not None:
        what = f"a failback to {warm.environment} would not go through: {'; '.join(warm.lost)}"
        yield Due(
            f"warm:{warm.environment}:{warm.since.isoformat()}", "warm", 1, what, f"bluegreen ready {state.service}"
        )


def _silent(state: ServiceState, point: str, silence: Silence, now: datetime) -> Iterator[Due]:
    """Told where nothing else says it: a switch halts by it, and a way back is lost by it. That it is over is told to
    whoever was told that it began."""
    subject = f"unread:{point}:{silence.since.isoformat()}"
    if silence.heard is not None:
        if _told(state, subject) == 1:
            yield Due(subject, "unread", 2, f"{point} can be read again")
    elif state.open_switch is None and not state.notes.warm.lost and not (silence.flap and now - silence.since < QUIET):
        what = f"{point} cannot be read since {silence.since:%Y-%m-%d %H:%M:%S} UTC: {silence.why}"
        advice = (
            "where its traffic is, is not known, and no deployment and no failback goes through: look at the way to it"
        )
        yield Due(subject, "unread", 1, what, advice)


def _halted(state: ServiceState, switch: Switch, halt: Halt, schedule: Schedule, now: datetime) -> Iterator[Due]:
    claim = state.notes.line.claim
    if claim is not None and claim.halt == halt.id:
        yield Due(
            f"claim:{halt.id}:{claim.by}",
            "claim",
            1,
            f"{claim.by} has it: {halt.summary}",
            advised(halt, state),
            claim.by,
        )
        passed = (now - claim.at).total_seconds()
        if (times := _count((schedule.reminder,), passed)) > 0:
            what = f"{claim.by} has had it for {passed / 3600:.0f} h, and it is still halted: {halt.summary}"
            yield Due(f"reminder:{halt.id}:{claim.by}", "reminder", times, what, advised(halt, state), claim.by)
        return
    began, ages = _halt_ages(state, halt, schedule)
    passed = (now - began).total_seconds()
    yield Due(halt.id, "halt", max(_count(ages, passed), 1), halt.summary, advised(halt, state), halt.by)


def _halt_ages(state: ServiceState, halt: Halt, schedule: Schedule) -> tuple[datetime, tuple[float, ...]]:
    """From when on, and at which ages, the present halt is told again."""
    claim = state.notes.line.claim
    if claim is not None and claim.halt == halt.id:
        return claim.at, (schedule.reminder,)
    return halt.at, (0.0, *schedule.escalate)


def _count(ages: Sequence[float], passed: float) -> int:
    """How many of them are over: those given, then again and again at the last one's interval."""
    last = ages[-1]
    if passed < last:
        return sum(at <= passed for at in ages)
    return len(ages) + int((passed - last) // _every(ages))


def _next(ages: Sequence[float], passed: float) -> float:
    """The first age that is yet to come."""
    coming = [at for at in ages if at > passed]
    return coming[0] if coming else ages[-1] + (_count(ages, passed) - len(ages) + 1) * _every(ages)


def _every(ages: Sequence[float]) -> float:
    return max(ages[-1], 60.0)


def _told(state: ServiceState, subject: str) -> int:
    told = state.notes.line.notices.get(subject)
    return told.times if told is not None else 0
