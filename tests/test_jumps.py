"""A wall clock that is set forward or back, by an hour or by a day, changes nothing: in virtual time, at any entry."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bluegreen.control import documents
from bluegreen.control.metrics import Metrics
from bluegreen.core import events as ev
from bluegreen.core.phases import fold
from bluegreen.errors import Refused
from bluegreen.jumps import STEP_SECONDS
from bluegreen.model import Condition
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import VirtualClock, run

pytestmark = pytest.mark.slow

HOUR, DAY = 3600.0, 86400.0
JUMPS = (HOUR, -HOUR, DAY, -DAY)
KEEP_WARM = 3600.0


class JumpingClock(VirtualClock):
    """A wall clock that the test sets. Sleeping does not care."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


class JumpingWorld(World):
    """One service whose host's clock is set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock: JumpingClock = JumpingClock()


async def deployed(world: JumpingWorld, jump: float, entry: int | None) -> tuple[list[str], list[int], float]:
    """A deployment with a jump after so many entries: its events, its writes and how long it took."""
    async with world.engine() as driver:
        await driver.deploy()
        began = asyncio.get_running_loop().time()
        while driver.switch.condition is Condition.RUNNING:
            if len(world.published) == entry:
                world.clock.ahead += jump
            await driver.engine.changed(driver.engine.state.version)
        took = asyncio.get_running_loop().time() - began
        assert driver.switch.condition is Condition.COMPLETED
        kinds = [type(one.event).__name__ for one in world.published if not isinstance(one.event, ev.ClockMoved)]
        return kinds, world.shares("green"), took


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("entry", [2, 9, 14, 20, 40])
def test_a_jump_ends_no_wait_and_no_bake_and_moves_nothing(tmp_path: Path, jump: float, entry: int) -> None:
    (tmp_path / "a").mkdir()
    undisturbed = run(deployed(JumpingWorld(tmp_path / "a"), 0.0, None))
    world = JumpingWorld(tmp_path)
    assert run(deployed(world, jump, entry)) == undisturbed
    (moved,) = world.events(ev.ClockMoved)
    assert moved.event == ev.ClockMoved(jump)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_halt_outlasts_a_jump(tmp_path: Path, jump: float) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            world.smoke.bad = True
            await driver.deploy()
            await driver.ended()
            halt = driver.switch.halt
            world.clock.ahead += jump
            await asyncio.sleep(DAY)
            assert driver.switch.halt == halt
            assert world.shares("green") == []

    run(main())


async def protected_for(driver: Driver) -> float:
    """Seconds of real time until a deployment would be let over the warm environment."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(3 * DAY):
        while True:
            try:
                await driver.deploy("v3")
            except Refused:
                await asyncio.sleep(60)
            else:
                return loop.time() - began


@pytest.mark.parametrize("jumps", [(), *[(jump,) for jump in JUMPS], (DAY, -DAY), (-HOUR, HOUR)], ids=str)
def test_the_warm_environment_is_protected_for_its_time_whatever_the_clock_says(
    tmp_path: Path, jumps: tuple[float, ...]
) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            for jump in jumps:
                world.clock.ahead += jump
                await driver.engine.observe()
            assert KEEP_WARM - 120 <= await protected_for(driver) <= KEEP_WARM + 120

    run(main())


def test_a_jump_at_the_instant_of_a_request_is_seen_before_it_is_judged(tmp_path: Path) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            world.clock.ahead += DAY
            with pytest.raises(Refused, match="is kept warm"):
                await driver.deploy("v3")

    run(main())


def test_with_three_environments_a_failback_goes_to_the_last_one_though_its_time_is_earlier(tmp_path: Path) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path, environments=("blue", "green", "red"))
        async with world.engine() as driver:
            await driver.deploy("v2")
            await driver.ended()
            world.clock.ahead -= DAY
            await driver.deploy("v3")
            await driver.ended()
            assert (await driver.failback()).candidate == "green"

    run(main())


@pytest.mark.parametrize("jump", JUMPS)
def test_the_same_key_finds_its_first_answer_after_a_jump(tmp_path: Path, jump: float) -> None:
    ask = replace(OPERATOR, key="k-1", digest="d")

    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            first = await driver.fleet.deploy("web", "v2", ask)
            await driver.ended()
            world.clock.ahead += jump
            again = await driver.fleet.deploy("web", "v2", ask)
            assert again.id == first.id
            assert len(world.events(ev.Requested)) == 1

    run(main())


@pytest.mark.parametrize("jump", JUMPS)
def test_a_journal_whose_times_go_back_is_read_back_as_it_was_and_goes_on(tmp_path: Path, jump: float) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.clock.ahead += jump
            await driver.at(500)
        async with world.engine() as driver:  # another process: the clock is what it is
            assert await driver.ended() is Condition.COMPLETED
            entries = await world.store.read("web")
            assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state
        times = [entry.record.at for entry in entries]
        assert (times == sorted(times)) is (jump > 0)

    run(main())


@pytest.mark.parametrize("jump", JUMPS)
def test_no_document_and_no_metric_has_a_negative_duration(tmp_path: Path, jump: float) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        metrics = Metrics()
        async with world.engine() as driver:
            metrics.watch(driver.fleet)
            world.smoke.bad = True
            await driver.deploy()
            await driver.ended()
            for _ in range(2):  # at once, and after the next look
                world.clock.ahead += jump
                document = documents.service(driver.engine, world.clock.now())
                assert document["switch"]["watched_seconds"] >= 0
                assert not re.search(r"-\d", " ".join(document["warm"]["reasons"] if document["warm"] else []))
                values = re.findall(r"^\S+_seconds\S* (\S+)$", metrics.render().decode(), re.MULTILINE)
                assert values
                assert all(float(value) >= 0 for value in values)
                await asyncio.sleep(20)

    run(main())


@pytest.mark.parametrize(("step", "told"), [(STEP_SECONDS - 0.1, 0), (STEP_SECONDS + 0.1, 1), (-STEP_SECONDS - 0.1, 1)])
def test_a_clock_that_is_kept_right_in_small_steps_is_no_jump(tmp_path: Path, step: float, told: int) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine():
            world.clock.ahead += step
            await asyncio.sleep(60)
            assert len(world.events(ev.ClockMoved)) == told

    run(main())


def test_a_jump_that_could_not_be_recorded_is_recorded_later(tmp_path: Path) -> None:
    async def main() -> None:
        world = JumpingWorld(tmp_path)
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            world.clock.ahead += DAY
            world.store.faults.append((OSError("no room"), False))
            with pytest.raises(OSError, match="no room"):
                await driver.engine.observe()
            assert world.events(ev.ClockMoved) == []
            await driver.engine.observe()
            assert len(world.events(ev.ClockMoved)) == 1

    run(main())
