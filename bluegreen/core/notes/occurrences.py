"""One halt as the lessons remember it: what kind it was, how it was answered, and whether that helped. Pure.

An answer helped when the switch (or the one that took over from it) went on past the place of the halt; a failback
helped when it completed. Where the same place halts again first, it did not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.model import DAEMON, Condition, Phase

if TYPE_CHECKING:
    from bluegreen.core.events import Halted, Record
    from bluegreen.core.state import ServiceState, Switch

Place = tuple[int, int]
"""How far a switch is: its phase, counted, and its shift step."""

_ORDER: Mapping[Phase, int] = {phase: number for number, phase in enumerate(Phase)}
_CONFIGURED = re.compile(r"[a-z0-9][a-z0-9_-]*")
_CHECKS_CHARS_MAX = 160
_SUMMARY_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One halt. `answer` is the verb that ended it, with what was done before it (`restore and resume`); it is empty
    while the halt waits. `follows` is the switch whose way tells whether the answer helped; `helped` is None as long as
    that is not known, and where nothing was to be helped (`abort`). `despite` is what ought to have kept it away.
    """

    halt: str
    switch: str
    at: datetime
    by: str
    version: str | None
    summary: str
    place: Place
    follows: str
    acts: tuple[str, ...] = ()
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None
    helped: bool | None = None
    end: str = ""
    ended_at: datetime | None = None
    cause: str = ""
    note: str = ""
    noted_by: str = ""
    noted_at: datetime | None = None
    despite: str = ""

    @property
    def open(self) -> bool:
        """Whether something is still to be learned of it."""
        return self.ended_at is None


def fingerprint(phase: Phase, checks: tuple[str, ...], cause: str) -> str:
    """`smoke/orders/check_failed`: the same for the same kind of halt, whichever environment it was in."""
    named = "+".join(checks)
    if len(named) > _CHECKS_CHARS_MAX:
        named = f"{named[:_CHECKS_CHARS_MAX]}…{short(named)}"
    return "/".join(part for part in (phase.value, named, cause) if part)


def short(text: str) -> str:
    """A fingerprint's short name, to be typed."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def failed_checks(event: Halted, switch: Switch) -> tuple[str, ...]:
    """The names of what failed, sorted; the daemon's own name environments, and those change places."""
    return tuple(sorted({_stable(found.check, switch) for found in event.findings if not found.ok}))


def class_of(event: Halted) -> str:
    """The class of a halt's cause: `deploy_failed/exit_3`, `check_failed`."""
    return f"{event.cause.value}/{event.error}" if event.error else event.cause.value


def begun(event: Halted, switch: Switch, record: Record, despite: str) -> Occurrence:
    """A halt that has just come."""
    return Occurrence(
        halt=event.halt,
        switch=switch.id,
        at=record.at,
        by=record.by,
        version=switch.version,
        summary=event.summary[:_SUMMARY_CHARS_MAX],
        place=(_ORDER[switch.phase], switch.index),
        follows=switch.id,
        despite=despite,
    )


def followed(one: Occurrence, before: ServiceState, after: ServiceState, record: Record) -> Occurrence:
    """One entry further."""
    switch = before.open_switch
    if switch is not None and switch.id == one.switch and one.answered_at is None:
        one = _answered(one, record)
    now = after.switch
    if now is None or now.id != one.follows or one.answered_at is None:
        return one
    if one.helped is None and one.answer not in ("abort", "failback"):
        one = replace(one, helped=_went_on(one, now))
    if not now.condition.is_open:
        one = replace(one, ended_at=record.at, end=now.condition.value)
        if one.helped is None and one.answer != "abort":
            one = replace(one, helped=one.answer == "failback" and now.condition is Condition.COMPLETED)
    return one


def _went_on(one: Occurrence, now: Switch) -> bool | None:
    """Whether the switch is past the place of the halt; None while that is open."""
    if now.condition is Condition.COMPLETED:
        return True
    if now.condition.is_open and (_ORDER[now.phase], now.index) > one.place:
        return True
    return False if now.halt is not None and now.halt.id != one.halt else None


def _answered(one: Occurrence, record: Record) -> Occurrence:
    """What an operator did about it: acts that leave it halted, then the verb that ends it."""
    from bluegreen.core import events as ev

    follows = one.follows
    match record.event:
        case ev.CheckAccepted() | ev.RestoreAsked() | ev.DriftLeft() | ev.Adopted() if record.by != DAEMON.name:
            act = _ACTS[type(record.event).__name__]
            return one if act in one.acts else replace(one, acts=(*one.acts, act))
        case ev.Resumed():
            verb = "resume"
        case ev.Promoted():
            verb = "promote"
        case ev.Aborted():
            verb = "abort"
        case ev.FailedBack(by_switch=by_switch):
            verb, follows = "failback", by_switch
        case ev.Superseded(by_switch=by_switch):
            verb, follows = "deploy", by_switch
        case _:
            return one
    acts = (*one.acts, verb)
    if verb == "resume" and "accept" in acts:  # the last accepted check goes on by itself
        acts = acts[:-1]
    answer = " and ".join(acts) if verb in ("resume", "promote") else verb
    return replace(one, answer=answer, answered_by=record.by, answered_at=record.at, follows=follows)


_ACTS = {"CheckAccepted": "accept", "RestoreAsked": "restore", "DriftLeft": "leave", "Adopted": "adopt"}


def _stable(check: str, switch: Switch) -> str:
    """What is configured keeps its name; in the daemon's own, an environment is what it is to the switch."""
    sides = {switch.candidate: "candidate", switch.source: "source"}
    if _CONFIGURED.fullmatch(check) and check != f"{switch.candidate}-idle":
        return check
    words = re.split(r"([^A-Za-z0-9_-]+)", check.replace(f"{switch.candidate}-idle", "candidate-idle"))
    return "".join(sides.get(word, word) for word in words).replace(": ", ":").replace(" ", "-")
