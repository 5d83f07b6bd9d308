"""Notices that the wall clock was moved: it was set, or the host slept.

Nothing waits by the wall clock: every wait, bake and deadline is counted by the loop's monotonic time. One thing has to
be kept by the wall clock, since it outlives the process: until when a warm environment is protected. A jump is put on
record as an event, so that the time that is left stays what it was.
"""

from __future__ import annotations

import asyncio

from bluegreen.core.events import ClockMoved
from bluegreen.ports import Clock

STEP_SECONDS = 5.0
"""What is less is how clocks are kept right, and changes nothing that anybody would notice."""


class Jumps:
    """Compares the wall clock with monotonic time, since the first look of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: float | None = None

    def seen(self) -> tuple[ClockMoved, ...]:
        """The jump that is not on record yet, if there is one. Changes nothing: see `recorded`."""
        ahead = self._clock.now().timestamp() - asyncio.get_running_loop().time()
        if self._ahead is None:
            self._ahead = ahead
        moved = round(ahead - self._ahead, 3)
        return (ClockMoved(moved),) if abs(moved) >= STEP_SECONDS else ()

    def recorded(self, event: ClockMoved) -> None:
        """It is on record."""
        self._ahead = (self._ahead or 0.0) + event.seconds
