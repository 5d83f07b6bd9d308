"""Look at gates and at the candidate's health, again and again, for a time or until a person acts."""

from __future__ import annotations

import asyncio
import math

from bluegreen.core import events as ev
from bluegreen.core.state import Switch
from bluegreen.core.steps import Watch
from bluegreen.model import Cause, Kind
from bluegreen.ports import Check, Clock, Ports
from bluegreen.steps import looks

HEALTH_EVERY = 2.0
HEALTH_MISSES_MAX = 2
"""Looks in a row that must find too few healthy targets before that is a halt: one may be a flap."""
UNREAD_SECONDS_MAX = 60.0
"""How long the health may be unreadable before that is a halt: what is not known is neither good nor bad."""


async def run(step: Watch, switch: Switch, ports: Ports, clock: Clock) -> ev.Event:
    """Watched for the whole time with everything good, or a halt at the first gate that is not.

    With `seconds` None it returns only to halt; a person's act ends it by cancelling it.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends = began + step.seconds if step.seconds is not None else math.inf
    health = _Health(switch, ports)
    due = dict.fromkeys(ports.gates, began) if switch.kind is Kind.DEPLOYMENT else {}
    while True:
        halt = await health.look() or await _gates(switch, ports, due)
        if halt is not None:
            return halt
        now = loop.time()
        if now >= ends and health.good:
            return ev.Watched(round(now - began, 3))
        await clock.sleep(max(min([health.due, *due.values(), max(ends, now + 0.05)]) - now, 0.01))


class _Health:
    """The candidate's health over a watch."""

    def __init__(self, switch: Switch, ports: Ports) -> None:
        self._switch, self._ports = switch, ports
        self._enough = ports.health if switch.kind is Kind.DEPLOYMENT else ports.failback_health
        self.due = self._read_at = asyncio.get_running_loop().time()
        self._misses = 0
        self.good = True

    async def look(self) -> ev.Halted | None:
        """Look, where its time has come; a halt where too few are healthy, or nobody knows for too long."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.due:
            return None
        found = await looks.health(self._ports, self._switch.candidate, self._enough)
        self.due, self.good = loop.time() + HEALTH_EVERY, looks.all_ok(found)
        if looks.unread(found):
            away = loop.time() - self._read_at > UNREAD_SECONDS_MAX
            return looks.halted(self._switch, Cause.BALANCER_UNREACHABLE, found) if away else None
        self._read_at = loop.time()
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
