"""Who may say what about lessons and guards: events, or Refused. Pure; nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bluegreen.core import lessons
from bluegreen.core.event import Event
from bluegreen.core.notes.lessons import (
    Guard,
    GuardAdded,
    GuardEnforced,
    GuardRemoved,
    LessonClosed,
    LessonResolved,
)
from bluegreen.core.requests import Request, is_said
from bluegreen.core.state import ServiceState
from bluegreen.errors import BadRequest, NotFound, Refused
from bluegreen.model import CAUSE_CLASSES

GUARDS_MAX = 50
RESERVED = ("journal", "lessons")
"""Names of the daemon's own findings in a preflight; `ENVIRONMENT-idle` is another."""
NOTE_CHARS_MAX = 1000


def told(request: Request, state: ServiceState) -> Sequence[Event]:
    """What the answer to a halt says about its cause, if anything. Raises BadRequest, Refused."""
    if not request.cause and not request.note.strip():
        return ()
    switch = state.open_switch
    if switch is None or switch.halt is None:
        raise Refused(f"{state.service}: nothing is halted: there is no halt to give a cause for", "leave it out")
    lesson = lessons.lesson_of(state.notes.lessons, switch.halt.id)
    if lesson is None:
        return ()  # more kinds of halts than are remembered came since: the answer itself goes before
    _known_cause(request.cause, needed=False)
    return (LessonResolved(lesson.fingerprint, (switch.halt.id,), request.cause, _text(request.note)),)


def resolve(state: ServiceState, name: str, cause: str, note: str) -> Sequence[Event]:
    """What a halt came from (`name` is its id), or all of a lesson's that have no cause yet (its fingerprint or short
    name); where all have one, the last. Nothing where that very word is on record. Raises BadRequest, NotFound."""
    lesson, halts = lessons.find(state.notes.lessons, name)
    _known_cause(cause, needed=True)
    if not note.strip():
        raise BadRequest("a note is wanted", {"note": "what was it? whoever sees this halt next reads it"})
    meant = [one for one in halts if not one.cause] or list(halts[-1:])
    if all((one.cause, one.note) == (cause, _text(note)) for one in meant):
        return ()
    return (LessonResolved(lesson.fingerprint, tuple(one.halt for one in meant), cause, _text(note)),)


def close(state: ServiceState, name: str, guard: str, reason: str, configured: Collection[str]) -> Sequence[Event]:
    """Nothing more is to be done about this kind of halt: a guard looks for it, or there is a reason for none.
    `configured` are the names of the guards in the service's file. Raises Refused, BadRequest, NotFound."""
    lesson, _ = lessons.find(state.notes.lessons, name)
    known = [*state.notes.lessons.guards, *configured]
    if guard and guard not in known:
        raise NotFound(f"{state.service} has no guard {guard!r}", f"known: {', '.join(sorted(known)) or 'none'}")
    if not guard and not is_said(reason):
        raise BadRequest("a lesson is closed by a guard, or by a reason for none", {"reason": "missing"})
    return (LessonClosed(lesson.fingerprint, guard),)


def add_guard(state: ServiceState, name: str, kind: str, check: str, lesson: str) -> Sequence[Event]:
    """A new guard, in shadow. `check` is sound. Raises Refused, NotFound."""
    guards = state.notes.lessons.guards
    if name in RESERVED or name.endswith("-idle"):
        raise Refused(f"{name} is the name of a check of the daemon's own", "take another name")
    if name in guards:
        raise Refused(f"{state.service} has a guard {name} already", f"bluegreen guard remove {state.service} {name}")
    if len(guards) >= GUARDS_MAX:
        raise Refused(
            f"{state.service} has {GUARDS_MAX} guards here already",
            f"bring them into the service's file: bluegreen guard export {state.service}; then remove them here",
        )
    made_of = lessons.find(state.notes.lessons, lesson)[0].fingerprint if lesson else ""
    return (GuardAdded(name, kind, check, made_of, shadow=True),)


def enforce(state: ServiceState, name: str, *, force: bool, reason: str) -> Sequence[Event]:
    """From here on it halts preflights. Raises Refused, BadRequest, NotFound."""
    guard = guard_named(state, name)
    if not guard.shadow:
        return ()
    if guard.ran == 0 and not force:
        raise Refused(
            f"guard {name} has not looked at a preflight yet: nobody knows what it would do",
            "deploy once with it in shadow, or --force with a reason",
        )
    if guard.ran == 0 and not is_said(reason):
        raise BadRequest("enforcing a guard that never looked needs a reason", {"reason": "missing"})
    return (GuardEnforced(name),)


def remove(state: ServiceState, name: str, reason: str) -> Sequence[Event]:
    """The guard is taken away. Raises BadRequest, NotFound."""
    guard_named(state, name)
    if not is_said(reason):
        raise BadRequest("taking a guard away needs a reason", {"reason": "missing"})
    return (GuardRemoved(name),)


def guard_named(state: ServiceState, name: str) -> Guard:
    """A guard that is kept here. Raises NotFound."""
    guards = state.notes.lessons.guards
    if name not in guards:
        known = ", ".join(sorted(guards)) or "none"
        raise NotFound(f"{state.service} has no guard {name!r} beside those of its file", f"known: {known}")
    return guards[name]


def _known_cause(cause: str, *, needed: bool) -> None:
    if cause in CAUSE_CLASSES or (not cause and not needed):
        return
    what = f"{cause!r} is not a class of causes" if cause else "which cause?"
    raise BadRequest(what, {"cause": f"wanted one of {', '.join(CAUSE_CLASSES)}"})


def _text(note: str) -> str:
    return note.strip()[:NOTE_CHARS_MAX]
