"""Wait until enough of the candidate's targets are healthy in the eyes of every balancer."""

from __future__ import annotations

import asyncio

from bluegreen.core import events as ev
from bluegreen.core.state import Switch
from bluegreen.model import Cause
from bluegreen.ports import Clock, Ports
from bluegreen.steps import looks


async def run(switch: Switch, ports: Ports, clock: Clock) -> ev.Event:
    """BecameHealthy, or a halt when the time for it is over; an unreadable balancer is asked again until then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ports.health_timeout
    while True:
        findings = await looks.health(ports, switch.candidate, ports.health)
        if looks.all_ok(findings):
            return ev.BecameHealthy("; ".join(finding.summary for finding in findings))
        if loop.time() >= deadline:
            return looks.halted(switch, Cause.UNHEALTHY, findings)
        await clock.sleep(min(ports.health_every, max(deadline - loop.time(), 0.05)))
