"""Which halts nobody needed: those for which nothing happened that a person has to judge."""

from __future__ import annotations

from collections.abc import Sequence

from bluegreen.core import events as ev
from bluegreen.core.events import Record
from bluegreen.model import Cause
from tests.simulator.weather import Fault
from tests.simulator.world import World

NEEDED: dict[Cause, frozenset[Fault]] = {
    Cause.CHECK_FAILED: frozenset({Fault.SMOKE_BAD, Fault.HANGING_CHECK}),
    Cause.GATE_FAILED: frozenset({Fault.GATE_BAD, Fault.HANGING_CHECK}),
    Cause.UNHEALTHY: frozenset(
        {Fault.ILL, Fault.FLAP, Fault.AWAY, Fault.UNREAD, Fault.CREDENTIALS, Fault.UNREACHABLE}
    ),
    Cause.DEPLOY_FAILED: frozenset({Fault.DEPLOY_FAILS, Fault.DEPLOY_HANGS, Fault.DEPLOY_LOST}),
    Cause.PREFLIGHT_FAILED: frozenset(
        {
            Fault.AWAY,
            Fault.UNREAD,
            Fault.NO_ROOM,
            Fault.CREDENTIALS,
            Fault.ILL,
            Fault.SMOKE_BAD,
            Fault.HANGING_CHECK,
            Fault.DRIFT,
            Fault.DRIFT_BACK,
            Fault.BY_HAND,
            Fault.REQUEST_LATE,
        }
    ),
    Cause.DRIFT: frozenset({Fault.DRIFT, Fault.DRIFT_BACK, Fault.BY_HAND, Fault.REQUEST_LATE}),
    Cause.BALANCER_REFUSED: frozenset({Fault.REJECTED, Fault.CREDENTIALS}),
    Cause.BALANCER_UNREACHABLE: frozenset({Fault.AWAY, Fault.UNREAD, Fault.CREDENTIALS}),
    Cause.OUTCOME_UNKNOWN: frozenset(
        {Fault.AWAY, Fault.UNREAD, Fault.CREDENTIALS, Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.REQUEST_LATE}
    ),
    Cause.INTERRUPTED: frozenset(
        {
            Fault.CRASH,
            Fault.RESTART,
            Fault.HOST_DOWN,
            Fault.APPEND_UNKNOWN,
            Fault.DISK_FULL,
            Fault.NO_ROOM,
            Fault.DEPLOY_LOST,
        }
    ),
    Cause.DISK_FULL: frozenset({Fault.NO_ROOM}),
    Cause.BUG: frozenset({Fault.CHECK_RAISES, Fault.DRIVER_RAISES}),
}  # fmt: skip


def found(halts: Sequence[Record], world: World) -> list[str]:
    """The daemon's halts whose cause has no fault behind it."""
    needless = []
    for record in halts:
        event = record.event
        assert isinstance(event, ev.Halted)
        if not NEEDED.get(event.cause, frozenset(Fault)) & set(world.weather.struck):
            needless.append(f"{event.cause}: {event.summary}")
    return needless
