"""The world of `tests.fakes` with the named failpoints in it: the same as in the daemon that is killed for real."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from bluegreen.ports import Ports, Setup
from tests.fakes import Driver, World
from tests.faults.points import PointedStore, pointed


class PointedWorld(World):
    """Writes down every failpoint that is passed, and ends a life at one of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.passed: list[str] = []
        self._end: tuple[str, int] | None = None
        self._ended = asyncio.Event()
        self._counted = Counter[str]()
        self.store = PointedStore(self.store, self._reached)  # type: ignore[assignment]

    def open(self, setup: Setup) -> Ports:
        """See ports.Workshop."""
        return pointed(super().open(setup), self._reached)

    async def a_life(self, name: str, nth: int, act: Callable[[Driver], Awaitable[object]]) -> None:
        """A process that does `act` and is gone when it passes the failpoint for the nth time: nothing of it comes
        after. Fails where it does not get there."""
        self.passed.clear()
        self._counted.clear()
        self._end, self._ended = (name, nth), asyncio.Event()
        engine = self.new_engine()
        await engine.start()
        await engine.take_over()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(self._live(engine, act))
            async with asyncio.timeout(100_000):
                await self._ended.wait()
            living.cancel()
        self._end = None
        self.passed.clear()

    async def _live(self, engine, act: Callable[[Driver], Awaitable[object]]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            driver = self.driver(engine)
            await driver.until(lambda: engine.state.live is not None)
            await act(driver)

    async def _reached(self, name: str) -> None:
        if self._ended.is_set() and self._end is not None:
            await asyncio.Event().wait()  # the process is gone
        self.passed.append(name)
        self._counted[name] += 1
        if self._end == (name, self._counted[name]):
            self._ended.set()
            await asyncio.Event().wait()
