"""An ailing journal is looked at until it is well; its beginning and its end are said, once."""

from __future__ import annotations

import asyncio

from bluegreen.model import Finding
from bluegreen.room import keep_room
from bluegreen.store.memory import MemoryStore
from tests.virtual import VirtualClock, run

FULL = Finding("journal", ok=False, summary="the disk is full", advice="make room")


class Healing(MemoryStore):
    """Is found well at the third look."""

    looks = 0

    async def writable(self) -> Finding:
        self.looks += 1
        if self.looks == 3:
            self.trouble = None
        return await super().writable()


def test_trouble_is_said_once_looked_at_until_it_is_over_and_that_is_said_too() -> None:
    store, said = Healing(), list[Finding | None]()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(keep_room(store, VirtualClock(), said.append))
            await asyncio.sleep(100)
            assert (said, store.looks) == ([], 0), "a journal that is well is left alone"
            store.trouble = FULL
            await asyncio.sleep(100)
            keeping.cancel()

    run(main())
    assert said == [FULL, None]
    assert store.looks == 3
