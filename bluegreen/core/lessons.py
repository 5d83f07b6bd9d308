"""What the lessons come to, in words and figures: seen how often, what helped, what is still open. Pure; only reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from bluegreen.core.notes.lessons import Guard, Lesson, Lessons
from bluegreen.core.notes.occurrences import Occurrence
from bluegreen.errors import NotFound
from bluegreen.model import Cause, Finding, Phase

OPEN, GUARDED, CLOSED = "open", "guarded", "closed"
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """How one answer fared: how often it was given, how often it helped and did not; seconds from the halt to the
    answer and to the end of the switch (medians, where known)."""

    answer: str
    times: int
    helped: int
    failed: int
    answered_after: float | None
    over_after: float | None


def find(part: Lessons, name: str) -> tuple[Lesson, tuple[Occurrence, ...]]:
    """A lesson by its fingerprint or short name, with its halts; or by a halt's id, with that one. Raises NotFound."""
    for lesson in part.kinds.values():
        if name in (lesson.fingerprint, lesson.id):
            return lesson, lesson.occurrences
        if halts := tuple(one for one in lesson.occurrences if one.halt == name):
            return lesson, halts
    known = ", ".join(f"{lesson.id} ({lesson.fingerprint})" for lesson in reversed(list(part.kinds.values())[-8:]))
    raise NotFound(f"no lesson and no halt {name!r}", f"known: {known or 'none yet'}")


def lesson_of(part: Lessons, halt: str) -> Lesson | None:
    """The lesson that a halt belongs to; None where it is forgotten."""
    of = (lesson for lesson in part.kinds.values() if any(one.halt == halt for one in lesson.occurrences))
    return next(of, None)


def guards_of(part: Lessons, lesson: Lesson, configured: Collection[str]) -> tuple[str, ...]:
    """The guards that stand for a lesson: made of it, or named when it was closed; and for a preflight that failed,
    what failed: it was caught before anything was touched."""
    names = [guard.name for guard in part.guards.values() if guard.lesson == lesson.fingerprint]
    if lesson.closed is not None and lesson.closed.guard in (*part.guards, *configured):
        names.append(lesson.closed.guard)
    if lesson.phase is Phase.PREFLIGHT and lesson.cause == Cause.PREFLIGHT_FAILED:
        names += lesson.checks
    return tuple(dict.fromkeys(names))


def state_of(part: Lessons, lesson: Lesson, configured: Collection[str]) -> str:
    """open | guarded | closed."""
    if guards_of(part, lesson, configured):
        return GUARDED
    return CLOSED if lesson.closed is not None and not lesson.closed.guard else OPEN


def flag(part: Lessons, lesson: Lesson) -> str:
    """What ought to have kept the last halt of this kind away, and did not; empty where something newer was done."""
    newer = [guard.enforced_at or guard.at for guard in part.guards.values() if guard.lesson == lesson.fingerprint]
    newer += [lesson.closed.at] if lesson.closed is not None else []
    return "" if any(at > lesson.last.at for at in newer) else lesson.last.despite


def in_order(part: Lessons, configured: Collection[str]) -> list[Lesson]:
    """What comes again and has no guard first, then what came in spite of one; in each the most frequent first."""

    def rank(lesson: Lesson) -> tuple[int, int, float]:
        unguarded = state_of(part, lesson, configured) == OPEN and lesson.times > 1
        return (0 if unguarded else 1 if flag(part, lesson) else 2, -lesson.times, -lesson.last.at.timestamp())

    return sorted(part.kinds.values(), key=rank)


def recurring(part: Lessons, configured: Collection[str]) -> list[Lesson]:
    """What came more than once and is neither guarded nor closed."""
    return [one for one in in_order(part, configured) if one.times > 1 and state_of(part, one, configured) == OPEN]


def without_cause(part: Lessons) -> list[tuple[Lesson, Occurrence]]:
    """Halts that have ended, and nobody said what they came from; the newest first."""
    found = [
        (lesson, one)
        for lesson in part.kinds.values()
        for one in lesson.occurrences
        if one.answered_at is not None and not one.cause
    ]
    return sorted(found, key=lambda pair: pair[1].at, reverse=True)


def tallies(occurrences: Sequence[Occurrence]) -> tuple[Tally, ...]:
    """Each answer and how it fared, what helped most often first."""
    made = []
    for answer in dict.fromkeys(one.answer for one in occurrences if one.answer):
        given = [one for one in occurrences if one.answer == answer]
        helped = [one for one in given if one.helped]
        counted = helped or given
        made.append(
            Tally(
                answer,
                len(given),
                len(helped),
                sum(one.helped is False for one in given),
                _median([_seconds(one.at, one.answered_at) for one in counted]),
                _median([_seconds(one.at, one.ended_at) for one in counted]),
            )
        )
    return tuple(sorted(made, key=lambda tally: (-tally.helped, -tally.times)))


def last_note(occurrences: Sequence[Occurrence]) -> Occurrence | None:
    """The newest halt that somebody wrote a note on, or gave a cause to."""
    return next((one for one in reversed(occurrences) if one.note or one.cause), None)


def earlier(lesson: Lesson, halt: str | None) -> tuple[Occurrence, ...]:
    """The halts of this kind before that one; all of them where none is named."""
    ids = [one.halt for one in lesson.occurrences]
    return lesson.occurrences[: ids.index(halt)] if halt in ids else lesson.occurrences


def seen_before(lesson: Lesson, halt: str | None) -> int:
    """How often this kind of halt came before that one."""
    return lesson.times - (len(lesson.occurrences) - len(earlier(lesson, halt)))


def words(lesson: Lesson, halt: str | None = None) -> str:
    """`seen 3 times before, last 2026-11-02; resume helped twice after 12 min (median); last note: '…' by ann`.

    `halt` is the present one; without it, all of them are told of.
    """
    past, times = earlier(lesson, halt), seen_before(lesson, halt)
    if not times:
        return "not seen before"
    told = [f"seen {often(times)}{' before' if halt else ''}"]
    if past:
        told[0] += f", last {past[-1].at:%Y-%m-%d}"
    if fared := [text for tally in tallies(past) if (text := _fared(tally))]:
        told.append(", ".join(fared))
    if (noted := last_note(past)) is not None:
        told.append(f"last note: {_note(noted)} by {person(noted.noted_by)}")
    return "; ".join(told)


def covered(part: Lessons, configured: Collection[str], passed: Collection[str]) -> list[tuple[Lesson, str]]:
    """Each past kind of halt that a guard stands for which halts a preflight, with that guard. `configured` are the
    guards of the service's file, `passed` those that looked and were good."""
    found = []
    for lesson in part.kinds.values():
        if lesson.phase is Phase.PREFLIGHT:
            continue  # it never got further: what caught it is there anyway
        for name in guards_of(part, lesson, configured):
            guard = part.guards.get(name)
            enforcing = name in configured or (guard is not None and not guard.shadow)
            if enforcing and name in passed:
                found.append((lesson, name))
                break
    return found


def coverage(found: Sequence[tuple[Lesson, str]]) -> Finding | None:
    """The preflight's line about the halts of the past that it now covers; None where it covers none."""
    if not found:
        return None
    halts = sum(lesson.times for lesson, _ in found)
    names = ", ".join(f"{lesson.fingerprint} (guard {guard})" for lesson, guard in found[:_NAMES_SHOWN])
    more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
    detail = {lesson.fingerprint: guard for lesson, guard in found}
    return Finding("lessons", True, f"covers {halts} past halt{'s' * (halts != 1)}: {names}{more}", detail=detail)


def made_of(part: Lessons, guard: Guard) -> str:
    """What a guard's failure reminds of; empty where it was made of no halt."""
    lesson = part.kinds.get(guard.lesson)
    if lesson is None:
        return f"this guard was made of {guard.lesson}" if guard.lesson else ""
    return f"this guard was made of {lesson.fingerprint}: {words(lesson)}"


def often(times: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def person(actor: str) -> str:
    """`uid:1000(ann)` -> `ann`; everybody else by their whole name."""
    return actor[actor.index("(") + 1 : -1] if actor.startswith("uid:") and actor.endswith(")") else actor


# --- parts ---


def _fared(tally: Tally) -> str:
    parts = []
    if tally.helped:
        after = "" if tally.answered_after is None else f" after {_span(tally.answered_after)}"
        parts.append(f"helped {often(tally.helped)}{after}{' (median)' if tally.helped > 1 and after else ''}")
    if tally.failed:
        parts.append(f"did not help {often(tally.failed)}" if tally.failed > 1 else "did not help once")
    if not parts:
        parts.append(often(tally.times))
    return f"{tally.answer} {' and '.join(parts)}"


def _note(one: Occurrence) -> str:
    cause = one.cause.replace("_", " ")
    if not one.note:
        return cause
    return f"{cause}, '{one.note}'" if cause else f"'{one.note}'"


def _seconds(begin: datetime, end: datetime | None) -> float | None:
    return None if end is None else max((end - begin).total_seconds(), 0.0)


def _median(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return median(known) if known else None


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
