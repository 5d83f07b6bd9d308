"""The API's documents about lessons and the guards made of them: see docs/api.md. Reads; decides nothing."""

from __future__ import annotations

import json
from typing import Any

from bluegreen.control.values import time
from bluegreen.core import lessons
from bluegreen.core.notes.lessons import Guard, Lesson
from bluegreen.core.notes.occurrences import Occurrence
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.model import CAUSE_CLASSES

Document = dict[str, Any]


def configured(engine: ServiceEngine) -> frozenset[str]:
    """The names of the guards in the service's own file."""
    return frozenset(check.name for check in engine.ports().guards)


def all_lessons(engine: ServiceEngine) -> Document:
    """Every kind of halt: LessonsDoc."""
    state, names = engine.state, configured(engine)
    part = state.notes.lessons
    return {
        "service": state.service,
        "lessons": [lesson(state, one, names) for one in lessons.in_order(part, names)],
        "recurring": len(lessons.recurring(part, names)),
        "without_cause": [
            {"lesson": kind.id, "fingerprint": kind.fingerprint, **occurrence(one)}
            for kind, one in lessons.without_cause(part)
        ],
        "classes": list(CAUSE_CLASSES),
    }


def lesson(state: ServiceState, one: Lesson, names: frozenset[str]) -> Document:
    """One kind of halt: LessonDoc."""
    part = state.notes.lessons
    return {
        **_told(one, None),
        "phase": one.phase,
        "checks": list(one.checks),
        "cause": one.cause,
        "first_at": time(one.first_at),
        "last_at": time(one.last.at),
        "state": lessons.state_of(part, one, names),
        "guards": [_guard_of(state, name, names) for name in lessons.guards_of(part, one, names)],
        "closed": _closed(one),
        "flag": lessons.flag(part, one),
        "halts": [occurrence(each) for each in reversed(one.occurrences)],
    }


def of_halt(state: ServiceState, halt: str) -> Document | None:
    """What is known of halts like this one: HaltLessonsDoc; None where its kind is forgotten."""
    one = lessons.lesson_of(state.notes.lessons, halt)
    if one is None:
        return None
    here = next(each for each in one.occurrences if each.halt == halt)
    return {**_told(one, halt), "despite": here.despite, "cause": here.cause, "note": here.note}


def summary(engine: ServiceEngine) -> Document:
    """What stands in the service's document."""
    part = engine.state.notes.lessons
    found = lessons.recurring(part, configured(engine))
    return {"recurring": len(found), "without_cause": len(lessons.without_cause(part))}


def guards(engine: ServiceEngine) -> Document:
    """The guards that are on record: GuardsDoc."""
    state, names = engine.state, configured(engine)
    return {
        "service": state.service,
        "guards": [guard(one, names) for one in state.notes.lessons.guards.values()],
        "configured": sorted(names),
    }


def guard(one: Guard, names: frozenset[str]) -> Document:
    """One guard: GuardDoc."""
    return {
        "name": one.name,
        "kind": one.kind,
        "check": json.loads(one.check),
        "lesson": one.lesson,
        "shadow": one.shadow,
        "in_file": one.name in names,
        "by": one.by,
        "at": time(one.at),
        "reason": one.reason,
        "enforced_by": one.enforced_by,
        "enforced_at": time(one.enforced_at),
        "ran": one.ran,
        "would_have_failed": one.failed,
        "caught": one.caught,
        "last": one.last,
    }


# --- parts ---


def occurrence(one: Occurrence) -> Document:
    """One halt of the past: OccurrenceDoc."""
    return {
        "halt": one.halt,
        "switch": one.switch,
        "at": time(one.at),
        "by": one.by,
        "version": one.version,
        "summary": one.summary,
        "answer": one.answer,
        "answered_by": one.answered_by,
        "answered_at": time(one.answered_at),
        "helped": one.helped,
        "end": one.end,
        "ended_at": time(one.ended_at),
        "cause": one.cause,
        "note": one.note,
        "noted_by": one.noted_by,
        "despite": one.despite,
    }


def _told(one: Lesson, halt: str | None) -> Document:
    """How often, what helped, how long it took: before `halt`, or ever."""
    past = lessons.earlier(one, halt)
    noted = lessons.last_note(past)
    return {
        "fingerprint": one.fingerprint,
        "id": one.id,
        "times": lessons.seen_before(one, halt),
        "last": time(past[-1].at) if past else None,
        "text": lessons.words(one, halt),
        "answers": [
            {
                "answer": tally.answer,
                "times": tally.times,
                "helped": tally.helped,
                "failed": tally.failed,
                "answered_after_seconds": tally.answered_after,
                "over_after_seconds": tally.over_after,
            }
            for tally in lessons.tallies(past)
        ],
        "last_note": {"cause": noted.cause, "note": noted.note, "by": noted.noted_by, "at": time(noted.noted_at)}
        if noted
        else None,
    }


def _closed(one: Lesson) -> Document | None:
    closed = one.closed
    if closed is None:
        return None
    return {"by": closed.by, "at": time(closed.at), "reason": closed.reason, "guard": closed.guard}


def _guard_of(state: ServiceState, name: str, names: frozenset[str]) -> Document:
    kept = state.notes.lessons.guards.get(name)
    return {"name": name, "shadow": kept is not None and kept.shadow and name not in names}
