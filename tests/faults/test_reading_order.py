"""After any start: the journal, then every balancer, and only then a decision. By the failpoints' own names.

`tests/kills` sees the same in real processes; here every order of events is the same each time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core import events as ev
from bluegreen.errors import Unreachable
from bluegreen.model import Cause, Condition
from tests.fakes import Driver
from tests.faults.world import PointedWorld
from tests.virtual import run

POINTS = ("eu", "us")


@pytest.fixture
def world(tmp_path: Path) -> PointedWorld:
    return PointedWorld(tmp_path, points=POINTS)


ENDS = [
    "journal.PreflightPassed.after",
    "journal.StepStarted:set_weights.after",
    "balancer.write.after",
    "journal.WeightsSet.after",
]


@pytest.mark.parametrize("nth", [1, 2], ids=["none moved", "mixed"])
@pytest.mark.parametrize("name", ENDS)
def test_no_intent_and_no_write_comes_before_the_first_look_at_every_switch_point(
    world: PointedWorld, name: str, nth: int
) -> None:
    async def main() -> None:
        await world.a_life(name, 1 if name == ENDS[0] else nth, Driver.deploy)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    acts = [n for n, passed in enumerate(world.passed) if passed.startswith(("journal.StepStarted", "balancer.write"))]
    looks = [n for n, passed in enumerate(world.passed) if passed == "balancer.targets.after"]
    assert looks[len(POINTS) - 1] < acts[0], world.passed[:12]
    assert world.passed[:2] == ["journal.Restarted.before", "journal.Restarted.after"]


def test_drift_that_the_first_look_finds_halts_before_anything_else_is_done(world: PointedWorld) -> None:
    async def main() -> None:
        await world.a_life("journal.WeightsSet.after", 1, Driver.deploy)
        world.balancers["us"].set_weights({"blue": 3, "green": 1})
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.DRIFT

    run(main())
    assert not [passed for passed in world.passed if passed.startswith(("journal.StepStarted", "balancer.write"))]
    assert [weights.share("green") for weights in world.balancers["us"].writes] == []


def test_a_balancer_that_cannot_be_read_does_not_stop_the_start_and_nothing_is_written(world: PointedWorld) -> None:
    async def main() -> None:
        await world.a_life("journal.WeightsSet.after", 1, Driver.deploy)
        gone = Unreachable("gone")
        world.balancers["us"].faults.extend([Fault("read", gone), *[Fault("targets", gone)] * 50])
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.BALANCER_UNREACHABLE
            assert "cannot be read" in driver.switch.halt.summary
            world.balancers["us"].faults.clear()
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    halted = next(n for n, entry in enumerate(world.published) if isinstance(entry.event, ev.Halted))
    assert [e for e in world.published[:halted] if isinstance(e.event, ev.WeightsSet) and e.event.point == "us"] == []


def test_a_stop_does_not_wait_for_the_first_look(world: PointedWorld) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def main() -> float:
        world.balancers["us"].read = never  # type: ignore[assignment, method-assign]
        engine = world.new_engine()
        await engine.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            await asyncio.sleep(1)
            await engine.stop()
        return asyncio.get_running_loop().time()

    assert run(main()) < 2
