"""One hand at a time: run to its outcome, or cut short; guarded, with a sign of life. It decides nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from bluegreen.core import events as ev
from bluegreen.core.readiness import Proof, Readiness
from bluegreen.core.state import ServiceState
from bluegreen.life import Glance, Sign
from bluegreen.model import Finding
from bluegreen.ports import Clock
from bluegreen.steps import looks

T = TypeVar("T")

STOP_SECONDS = 7.0
"""How long a stop waits for a write that is under way; what is not answered by then is looked up at the next start."""
SIGNS_MAX = 200
GLANCES_MAX = 240
"""Of each check: twenty minutes of one that looks every five seconds."""


class Running:
    """`wake` is set when a person has asked for something: looks are cut short by it, effects are not."""

    def __init__(self, clock: Clock, wake: asyncio.Event, state: Callable[[], ServiceState]) -> None:
        self.signs: deque[Sign] = deque(maxlen=SIGNS_MAX)
        """The last signs of life of what runs, or ran, oldest first."""
        self.recent: dict[str, deque[Glance]] = {}
        """What each check found in its last looks, oldest first."""
        self._bad: dict[str, datetime] = {}
        """When a check was last answered badly, by its name, wherever it looked."""
        self.effect: asyncio.Task[ev.Event] | None = None
        """What changes the world at this moment."""
        self._clock, self._wake, self._state = clock, wake, state

    def beat(self, what: str, finding: Finding | None = None) -> None:
        """A sign of life."""
        now = self._clock.now()
        self.signs.append(Sign(now, what))
        if finding is not None:
            glances = self.recent.setdefault(finding.check, deque(maxlen=GLANCES_MAX))
            glances.append(Glance(now, finding.ok, finding.summary))
            if not finding.ok:
                self._bad[finding.check] = now

    def still_proven(self, readiness: Mapping[str, Readiness]) -> Mapping[str, Readiness]:
        """Without the proofs that are older than a bad answer to the same check: that has to be asked again."""
        return {
            name: replace(one, proofs=tuple([proof for proof in one.proofs if self._stands(proof)]))
            for name, one in readiness.items()
        }

    def _stands(self, proof: Proof) -> bool:
        bad = self._bad.get(proof.finding.check)
        return bad is None or bad < proof.at

    async def undisturbed(self, looking: Coroutine[Any, Any, T]) -> asyncio.Task[T | ev.Event] | None:
        """The finished look; None where it was cut short."""
        async with asyncio.TaskGroup() as group:
            look = group.create_task(self.guarded(looking))
            wake = group.create_task(self._wake.wait())
            await asyncio.wait({look, wake}, return_when=asyncio.FIRST_COMPLETED)
            look.cancel()
            wake.cancel()
        return None if look.cancelled() else look

    async def to_its_outcome(self, hand: Coroutine[Any, Any, ev.Event], leave: Callable[[], None]) -> ev.Event | None:
        """An effect's outcome, whatever is asked for meanwhile; None where it was ended before it had one.

        `leave` is called where the process ends, and not in order: what can go on without us is left to go on.
        """
        async with asyncio.TaskGroup() as group:
            effect = self.effect = group.create_task(self.guarded(hand))
            try:
                await asyncio.wait({effect})
            except asyncio.CancelledError:
                leave()
                raise
        self.effect = None
        return None if effect.cancelled() else effect.result()

    async def guarded(self, hand: Awaitable[T]) -> T | ev.Event:
        """A hand raises nothing for an expected failure; what it does raise is a bug, and a bug is a halt."""
        self.beat("begun")
        try:
            return looks.with_split(await hand, self._state())
        except Exception as error:
            return looks.defect(error, self._state())

    async def end(self, found: Coroutine[Any, Any, ev.Event], seconds: float) -> ev.Event | None:
        """End the effect that runs; where none does, what `found` finds of another process's. Gives its outcome where
        it had one nevertheless. Raises TimeoutError where it has not ended within so many seconds."""
        async with asyncio.TaskGroup() as group:
            if self.effect is not None:
                found.close()
            effect = self.effect or group.create_task(self.guarded(found))
            await asyncio.sleep(0)  # what has not begun is not ended by being cancelled: it would never begin
            effect.cancel()
            await asyncio.wait({effect}, timeout=seconds)
        if not effect.done():
            raise TimeoutError(f"no answer within {seconds:g} s")
        return None if effect.cancelled() else effect.result()
