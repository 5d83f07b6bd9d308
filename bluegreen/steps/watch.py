"""Look at gates and at the candidate's health, again and again, for a time or until a person acts."""

from __future__ import annotations

import asyncio
import math

from bluegreen.core import events as ev
from bluegreen.core.state import Switch
from bluegreen.core.steps import Watch
from bluegreen.model import Cause, Kind
from bluegreen.ports import Check, Clock, Ports
from bluegreen.steps import artifact, looks

HEALTH_EVERY = 2.0
HEALTH_MISSES_MAX = 2
"""Looks in a row that must find too few healthy targets before that is a halt: one may be a flap."""


async def run(step: Watch, switch: Switch, ports: Ports, clock: Clock) -> ev.Event:
    """Watched for the whole time with everything good, or a halt at the first gate that is not. A time in which a
    balancer could not be read does not count; when it is too long, the looks for drift halt the switch.

    With `seconds` None it returns only to halt; a person's act ends it by cancelling it.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends = began + step.seconds if step.seconds is not None else math.inf
    health, ours = _Health(switch, ports), artifact.Watched(switch, ports)
    due = dict.fromkeys(ports.gates, began) if switch.kind is Kind.DEPLOYMENT else {}
    while True:
        halt = await health.look() or await ours.look() or await _gates(switch, ports, due)
        if halt is not None:
            return halt
        now = loop.time()
        if now >= ends + health.blind and health.good and ours.good:
            return ev.Watched(round(now - began - health.blind, 3))
        await clock.sleep(
            max(min([health.due, ours.due, *due.values(), max(ends + health.blind, now + 0.05)]) - now, 0.01)
        )


class _Health:
    """The candidate's health over a watch. `blind` are the seconds in which it could not be read: they do not count.

    A balancer that stays unreadable halts the switch by the regular look at all switch points.
    """

    def __init__(self, switch: Switch, ports: Ports) -> None:
        self._switch, self._ports = switch, ports
        self._enough = ports.health if switch.kind is Kind.DEPLOYMENT else ports.failback_health
        self.due = self._sighted = asyncio.get_running_loop().time()
        self._dark, self._misses = False, 0
        self.blind, self.good = 0.0, True

    async def look(self) -> ev.Halted | None:
        """Look, where its time has come; a halt where too few were healthy more than once."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.due:
            return None
        found = await looks.health(self._ports, self._switch.candidate, self._enough)
        self.due, self.good = loop.time() + HEALTH_EVERY, looks.all_ok(found)
        if looks.unread(found):
            self._dark = True
            return None
        self.blind += loop.time() - self._sighted if self._dark else 0.0
        self._sighted, self._dark = loop.time(), False
        self._misses = 0 if self.good else self._misses + 1
        return looks.halted(self._switch, Cause.UNHEALTHY, found) if self._misses >= HEALTH_MISSES_MAX else None


async def _gates(switch: Switch, ports: Ports, due: dict[Check, float]) -> ev.Halted | None:
    """Every gate whose time has come."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    asked = [gate for gate, at in due.items() if at <= now]
    scene = ports.scene(switch.candidate, switch.version, switch.artifact)
    findings = await looks.all_checks(asked, scene, switch.accepted)
    for gate in asked:
        due[gate] = loop.time() + gate.every
    return None if looks.all_ok(findings) else looks.halted(switch, Cause.GATE_FAILED, findings)
