"""Looks after the journal's room: while something ails the journal it is looked at again and again; both ends are said.

It moves nothing and writes nothing; engines ask the store themselves before each step.
"""

from __future__ import annotations

from collections.abc import Callable

from bluegreen.model import Finding
from bluegreen.ports import Clock, Store

LOOK_EVERY = 1.0
"""Seconds until trouble is said, until a disk with room again is found, and until the ballast is made whole."""


async def keep_room(store: Store, clock: Clock, say: Callable[[Finding | None], None]) -> None:
    """Until cancelled. `say` gets what ails the journal when that begins, and None when it is over."""
    said = False
    while True:
        if store.trouble is not None:
            if not said:
                say(store.trouble)
            said = True
            await store.writable()
        if said and store.trouble is None:
            say(None)
            said = False
        await clock.sleep(LOOK_EVERY)
