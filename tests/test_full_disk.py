"""A journal that takes nothing for a while: nothing moves meanwhile, nothing is forgotten, and the rest goes on.

In virtual time, at every entry of a deployment and of a failback; `tests/store/test_full_disk.py` fills real disks.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen.core import events as ev
from bluegreen.core.phases import fold
from bluegreen.errors import AppendUnknown, NotWritten
from bluegreen.model import WHOLE, Cause, Condition, Finding
from tests.fakes import Driver, World
from tests.virtual import run

ENTRIES = 32
"""More entries than the deployment below writes: every one of them may find no room."""
FULL = Finding("journal", ok=False, summary="the disk is full", advice="make room")


class Tight:
    """From entry `at` on, from 0, every append raises `error`; `attempts` counts those that did."""

    def __init__(self, world: World, at: int, error: Exception) -> None:
        self.left, self.error, self.attempts = at, error, 0
        self._store, self._append = world.store, world.store.append
        world.store.append = self  # type: ignore[method-assign]

    async def __call__(self, service, expected, records):
        if self.left <= 0:
            self.attempts += 1
            self._store.trouble = FULL
            raise self.error
        self.left -= len(records)
        return await self._append(service, expected, records)

    async def reached(self, driver: Driver) -> bool:
        """Wait for the first append that found no room; False where the switch ended before."""
        while not self.attempts and driver.switch.condition.is_open:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(1)
        return bool(self.attempts)

    def end(self) -> None:
        """There is room again."""
        self.left, self._store.trouble = 10**6, None


async def completed(world: World, driver: Driver) -> None:
    """What must be true after all: done, nothing twice, nothing back, and the journal says so."""
    assert driver.switch.condition is Condition.COMPLETED
    for balancer in world.balancers.values():
        shares = [weights.share("green") for weights in balancer.writes]
        assert shares == [50, 500, WHOLE], "each share is written once"
    entries = await world.store.read("web")
    assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state
    assert len(world.deployer.deployed) == 1, "what was deployed is not deployed again"


@pytest.mark.slow
@pytest.mark.parametrize("points", [("point",), ("eu", "us")], ids=["one point", "two points"])
@pytest.mark.parametrize("entry", range(2, ENTRIES))
def test_a_deployment_that_finds_no_room_at_any_entry_waits_for_it_and_goes_on(
    tmp_path: Path, entry: int, points: tuple[str, ...]
) -> None:
    """Its own halt found no room either: there is nothing to decide for anybody once there is room."""
    world = World(tmp_path, points=points)
    tight = Tight(world, entry, NotWritten("full"))

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            if await tight.reached(driver):
                before = [balancer.writes[:] for balancer in world.balancers.values()]
                await asyncio.sleep(100)
                assert before == [balancer.writes for balancer in world.balancers.values()], "nothing moves meanwhile"
                assert 50 <= tight.attempts <= 70, "it is tried again, at a pace"
            tight.end()
            assert await driver.ended() is Condition.COMPLETED
            await completed(world, driver)

    run(main())


def test_a_deployment_is_halted_before_its_next_step_once_the_ballast_was_spent(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.store.trouble = FULL
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert (halt.cause, halt.summary, halt.advice) == (
                Cause.DISK_FULL, "the disk is full", "make room. Then `resume`",
            )  # fmt: skip
            assert world.shares("green") == [50]
            await driver.ask("resume")
            assert await driver.ended() is Condition.HALTED, "as long as there is no room"
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED, "what room there is is a failback's"
            assert (await driver.shown()).share("blue") == WHOLE
            world.store.trouble = None
            await driver.deploy("v3")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_paused_deployment_is_halted_too(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            await driver.ask("pause")
            world.store.trouble = FULL
            world.gate.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.DISK_FULL

    run(main())


def test_room_that_is_there_again_is_found_before_a_halt_is_thought_of(tmp_path: Path) -> None:
    world = World(tmp_path)

    class Healing:
        """A store whose trouble is over at the first look."""

        looks = 0

        async def __call__(self) -> Finding:
            Healing.looks += 1
            world.store.trouble = None
            return Finding("journal", ok=True, summary="well")

    world.store.writable = Healing()  # type: ignore[method-assign]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.store.trouble = FULL
            assert await driver.ended() is Condition.COMPLETED
            assert Healing.looks

    run(main())


def test_a_request_that_finds_no_room_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            tight = Tight(world, 0, NotWritten("full"))
            before = driver.engine.state
            with pytest.raises(NotWritten):
                await driver.deploy()
            assert driver.engine.state == before
            tight.end()
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_what_was_done_without_room_to_say_so_comes_before_any_decision(tmp_path: Path) -> None:
    """A write that was made is not taken for drift, and a request waits for it to be on record."""
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: (step := driver.engine._open_step()) and step.step == "set_weights")
            tight = Tight(world, 0, NotWritten("full"))
            await asyncio.sleep(100)
            assert world.shares("green") == [50]
            for refused in (driver.ask("pause"), driver.failback(), driver.engine.observe()):
                with pytest.raises(NotWritten):
                    await refused
            assert driver.engine.state.share("green") == 0, "nothing is believed that is not durable"
            tight.end()
            await driver.failback()
            assert driver.engine.state.share("green") == 50, "the outcome was there first"
            assert await driver.ended() is Condition.COMPLETED
            assert not driver.engine.state.drift
            assert (await driver.shown()).share("blue") == WHOLE

    run(main())


def test_what_was_done_without_room_to_say_so_stands_before_what_is_asked_for_next(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: (step := driver.engine._open_step()) and step.step == "set_weights")
            tight = Tight(world, 0, NotWritten("full"))
            assert await tight.reached(driver)
            tight.end()
            await driver.ask("pause")
            kinds = [type(entry.event) for entry in world.published]
            assert kinds.index(ev.WeightsSet) < kinds.index(ev.Paused)

    run(main())


@pytest.mark.parametrize("entry", range(10))
def test_a_failback_that_finds_no_room_at_any_entry_waits_for_it_and_goes_on(tmp_path: Path, entry: int) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            tight = Tight(world, entry + 1, NotWritten("full"))
            await driver.failback()
            await asyncio.sleep(100)
            tight.end()
            assert await driver.ended() is Condition.COMPLETED
            assert world.shares("green") == [50, 500, WHOLE, 0]
            assert driver.engine.state.live == "blue"

    run(main())


def test_a_process_that_starts_without_room_can_be_read_and_goes_on_when_there_is(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def first() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)

    async def main() -> None:
        await first()
        tight = Tight(world, 0, NotWritten("full"))
        async with world.engine() as driver:
            await asyncio.sleep(1000)
            assert driver.switch.condition is Condition.RUNNING
            assert world.shares("green") == [50]
            with pytest.raises(NotWritten):
                await driver.ask("pause")
            tight.end()
            assert await driver.ended() is Condition.COMPLETED
            await completed(world, driver)

    run(main())


@pytest.mark.parametrize("entry", range(2, 20, 3))
def test_an_append_whose_outcome_is_unknown_ends_the_process(tmp_path: Path, entry: int) -> None:
    world = World(tmp_path)
    tight = Tight(world, entry, AppendUnknown("who knows"))

    async def main() -> None:
        with pytest.RaisesGroup(AppendUnknown, flatten_subgroups=True, allow_unwrapped=True):
            async with world.engine() as driver:
                await driver.deploy()
                await asyncio.sleep(10_000)
        assert tight.attempts == 1, "nothing is tried after it"

    run(main())
