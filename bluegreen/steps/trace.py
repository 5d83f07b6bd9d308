"""Find out who changed a balancer, where its provider tells. Looks only; nothing waits for it, nothing depends on it.

Providers tell late (CloudTrail: minutes): each drift is asked about a few times over twenty minutes, and then no more.
The time is counted by the loop, since this process has first known of the drift: a clock that is set changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bluegreen.core import events as ev
from bluegreen.core.state import Drift, ServiceState
from bluegreen.errors import AccessDenied, BalancerError
from bluegreen.ports import Balancer, Clock, Ports

TRIES_AFTER = (60.0, 180.0, 360.0, 720.0, 1200.0)
"""Seconds after this process has first known of the drift; the last one closes the matter."""
LOOK_EVERY = 15.0
UNKNOWN_START = timedelta(days=1)
"""How far back is asked where no look of this process showed what was expected before."""


class Tracer:
    """Traces the drifts of one service. `note` puts on record what was found, unless that drift is over."""

    def __init__(
        self,
        state: Callable[[], ServiceState],
        ports: Callable[[], Ports],
        clock: Clock,
        note: Callable[[Drift, ev.DriftTraced], Awaitable[None]],
    ) -> None:
        self._state, self._ports, self._clock, self._note = state, ports, clock, note
        self._tried: dict[str, int] = {}
        self._known: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            drifts, now = self._state().drift, asyncio.get_running_loop().time()
            self._known = {drift.id: self._known.get(drift.id, now) for drift in drifts.values()}
            self._tried = {drift.id: self._tried.get(drift.id, 0) for drift in drifts.values()}
            for drift in drifts.values():
                await self._ask(drift, now - self._known[drift.id])

    async def _ask(self, drift: Drift, age: float) -> None:
        due = sum(age >= after for after in TRIES_AFTER)
        balancer = self._ports().balancers.get(drift.point)
        closed = any(not hand.who for hand in drift.hands)
        if due > self._tried[drift.id] and balancer is not None and not closed:
            self._tried[drift.id] = due
            for event in await self._found(drift, balancer, last=due == len(TRIES_AFTER)):
                await self._note(drift, event)

    async def _found(self, drift: Drift, balancer: Balancer, *, last: bool) -> list[ev.DriftTraced]:
        """What is new. That nobody may be asked is said once; so is, at the end, that nobody was named."""
        try:
            hands = await balancer.trace(drift.good_at or drift.at - UNKNOWN_START)
        except AccessDenied as denied:
            return [ev.DriftTraced(drift.point, "", str(denied))]
        except BalancerError as error:
            return [ev.DriftTraced(drift.point, "", f"it could not be asked who: {error.what}")] if last else []
        if hands is None:
            self._tried[drift.id] = len(TRIES_AFTER)
            return []
        new = [ev.DriftTraced(drift.point, hand.who, hand.what, hand.at) for hand in hands if hand not in drift.hands]
        if last and not new and not drift.hands:
            minutes = TRIES_AFTER[-1] / 60
            return [ev.DriftTraced(drift.point, "", f"the provider names nobody, {minutes:g} minutes later")]
        return new
