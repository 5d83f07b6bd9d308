"""What a person asks for between the last look before an effect and its intent: it comes first, and nothing is begun.

An entry of somebody else's takes long while the engine looks: the engine waits for the journal, the person behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.events import Entry, Record
from bluegreen.core.notes.flags import FlagsSeen
from bluegreen.model import Condition, Phase, Target, Weights
from bluegreen.store.memory import MemoryStore
from tests.fakes import Driver, World
from tests.virtual import run

LOOK_SECONDS = 2.0


class BusyStore(MemoryStore):
    """An entry about flags takes longer than a look."""

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        if any(isinstance(record.event, FlagsSeen) for record in records):
            await asyncio.sleep(2 * LOOK_SECONDS)
        return await super().append(service, expected, records)


class SlowBalancer(MemoryBalancer):
    """Says when it is looked at; the look takes its time."""

    def __init__(self, directory: Path) -> None:
        super().__init__("point", ("blue", "green"), directory / "point.json", None)
        self.looked_at = asyncio.Event()

    async def read(self) -> Weights:
        await self._slowly()
        return await super().read()

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        await self._slowly()
        return await super().targets()

    async def _slowly(self) -> None:
        self.looked_at.set()
        await asyncio.sleep(LOOK_SECONDS)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.store, made.balancers = BusyStore(), {"point": SlowBalancer(tmp_path)}
    return made


async def looked_at(world: World) -> None:
    """Until a look begins."""
    balancer = world.balancers["point"]
    assert isinstance(balancer, SlowBalancer)
    balancer.looked_at.clear()
    await balancer.looked_at.wait()


def kinds(world: World) -> list[str]:
    return [type(entry.event).__name__ for entry in world.published]


@pytest.mark.parametrize(("after", "phase"), [(ev.PreflightPassed, Phase.DEPLOY), (ev.SmokePassed, Phase.SHIFT)])
def test_a_pause_asked_for_when_the_last_look_was_good_comes_before_the_effect(
    world: World, after: type[ev.Event], phase: Phase
) -> None:
    async def main() -> None:
        async with world.engine() as driver, asyncio.TaskGroup() as group:
            await driver.deploy()
            await driver.until(lambda: world.events(after))
            await looked_at(world)
            group.create_task(driver.engine.note(lambda _: [FlagsSeen("now", {"search": "on"})]))
            await asyncio.sleep(1.5 * LOOK_SECONDS)  # the look is over, the entry is not
            assert driver.switch.open is None
            await driver.ask("pause")
            await asyncio.sleep(600)
            assert (driver.switch.phase, driver.switch.open) == (phase, None)
            assert driver.switch.condition is Condition.PAUSED
            assert world.deployer.deployed == (["v2 to green"] if phase is Phase.SHIFT else [])
            assert world.balancer.writes == []
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    told = kinds(world)
    assert told[told.index("FlagsSeen") + 1 : told.index("FlagsSeen") + 3] == ["Paused", "Resumed"]
    assert world.deployer.deployed == ["v2 to green"]


def test_what_is_asked_for_while_a_restore_waits_for_a_look_comes_before_its_write(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            await drifted(driver)
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(driver.ask("restore"))  # it looks first
                await looked_at(world)
                group.create_task(driver.engine.observe())  # and this one looks after it
                await asked
                await asyncio.sleep(0.1)
                await driver.ask("release")
                assert "RestoreStarted" not in kinds(world)
            await driver.until(lambda: not driver.engine.state.drift)
            assert (await driver.shown()).share("green") == 1000

    run(main())
    told = kinds(world)
    assert told.index("RestoreAsked") < told.index("WarmReleased") < told.index("RestoreStarted")


async def drifted(driver: Driver) -> None:
    """Another hand has changed the weights, and it was seen."""
    driver.world.balancer.set_weights({"blue": 300, "green": 700})
    await driver.until(lambda: driver.engine.state.drift)
