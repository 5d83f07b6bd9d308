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


async def run(step: Watch, switch: Switch, ports: Ports, clock: Clock) -> ev.Event:
    """Watched for the whole time with everything good, or a halt at the first gate that is not. A time in which a
    balancer could not be read does not count; when it is too long, the looks for drift halt the switch.

    With `seconds` None it returns only to halt; a person's act ends it by cancelling it.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    ends = began + step.seconds if step.seconds is not None else math.inf
    forward = switch.kind is Kind.DEPLOYMENT
    due = dict.fromkeys(ports.gates, began) if forward else {}
    health_due, misses = began, 0
    sighted, blind, dark = began, 0.0, False
    while True:
        if loop.time() >= health_due:
            found = await looks.health(ports, switch.candidate, ports.health if forward else ports.failback_health)
            ill = [one for one in found if not one.ok and looks.UNREAD not in one.detail]
            misses = misses + 1 if ill else 0
            if misses >= HEALTH_MISSES_MAX:
                return looks.halted(switch, Cause.UNHEALTHY, found)
            if looks.all_ok(found) or ill:
                blind, sighted, dark = blind + (loop.time() - sighted if dark else 0.0), loop.time(), False
            else:
                dark = True
            health_due = loop.time() + HEALTH_EVERY
        halt = await _gates(switch, ports, due)
        if halt is not None:
            return halt
        now = loop.time()
        if now >= ends + blind and misses == 0 and not dark:
            return ev.Watched(round(now - began - blind, 3))
        await clock.sleep(max(min([health_due, *due.values(), max(ends + blind, now + 0.05)]) - now, 0.01))


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
