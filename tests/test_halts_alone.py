"""A halt that is left alone: whatever the time, the restarts and the tries, nothing ever goes on by itself."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bluegreen.core import events as ev
from bluegreen.core import unknown
from bluegreen.core.halts import options
from bluegreen.core.requests import Resume
from bluegreen.errors import Refused, StateMoved, Unreachable
from bluegreen.model import Cause, Condition, Phase
from bluegreen.ports import DeployOutcome
from tests.fakes import OPERATOR, Driver
from tests.haltings import HALTS, LOST, OBSERVE_SECONDS, HaltWorld, at_halt, world_of
from tests.virtual import run

pytestmark = pytest.mark.slow

WEEK = 7 * 86_400


def _writes(world: HaltWorld) -> int:
    return sum(len(balancer.writes) for balancer in world.balancers.values())


@pytest.mark.parametrize("kind", list(HALTS))
def test_four_weeks_and_three_restarts_change_nothing_at_a_halt(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        world = world_of(tmp_path)
        async with at_halt(world, kind) as driver:
            before, moved, deployed = driver.switch, _writes(world), list(world.deployer.deployed)
            looks, points = len(world.smoke.looks), driver.engine.state.points
        world.mend()  # that the cause is gone is no reason to go on
        world.observe_every = OBSERVE_SECONDS
        for _ in range(4):
            async with world.engine() as driver:
                await asyncio.sleep(WEEK)
                after = driver.switch
                assert (after.id, after.phase, after.condition) == (before.id, before.phase, Condition.HALTED)
                assert after.halt == before.halt
                assert after.index == before.index
                assert driver.engine.state.points == points
        assert _writes(world) == moved
        assert world.deployer.deployed == deployed
        assert len(world.smoke.looks) == looks

    run(main())


def test_the_tenth_retry_is_like_the_first_and_really_runs_the_check_again(tmp_path: Path) -> None:
    async def main() -> None:
        world = world_of(tmp_path)
        async with at_halt(world, "smoke fails") as driver:
            seen = []
            for number in range(10):
                halt = driver.switch.halt
                assert halt is not None
                seen.append(halt)
                looks = len(world.smoke.looks)
                await driver.ask("resume", halt=halt.id)
                assert await driver.ended() is Condition.HALTED
                assert len(world.smoke.looks) == looks + 1, f"retry {number + 1} ran the check"
                await asyncio.sleep(60)
            assert [one.id.rsplit("-", 1)[1] for one in seen] == [f"h{number}" for number in range(1, 11)]
            assert len({one.at for one in seen}) == 10, "each has findings of its own"
            assert {(one.cause, one.phase, one.summary) for one in seen} == {
                (Cause.CHECK_FAILED, Phase.SMOKE, seen[0].summary)
            }
            with pytest.raises(StateMoved, match="the halt now is"):
                await driver.ask("resume", halt=seen[0].id)
            assert world.balancer.writes == []
            world.smoke.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


FAILURES = ("bad", "defect", "timeout", "ill", "deploy", "crash", "refused", "lost", "quota")


@settings(max_examples=40, deadline=None)
@given(some.lists(some.sampled_from(FAILURES), min_size=1, max_size=12))
def test_whatever_fails_and_however_often_it_ends_in_a_halt_and_no_count_lets_it_go_on(failures: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run(_tried(world_of(Path(directory)), failures))


async def _tried(world: HaltWorld, failures: list[str]) -> None:
    """One try for each failure, by resume; each ends in a halt of its own."""
    ids = []
    async with world.engine() as driver:
        _prepare(world, failures[0])
        await driver.deploy()
        await _ends_in_a_halt(world, driver, failures[0])
        ids.append(driver.switch.halts)
    for failure in failures[1:]:
        async with world.engine() as driver:
            await asyncio.sleep(1000)
            world.mend()
            _prepare(world, failure)
            await driver.ask("resume")
            await _ends_in_a_halt(world, driver, failure)
            ids.append(driver.switch.halts)
    assert ids == sorted(set(ids)), "each try is a halt of its own"
    assert world.events(ev.WeightsSet) == []
    assert _writes(world) == 0


def _prepare(world: HaltWorld, failure: str) -> None:
    """The cause, and whatever comes after it in the way: a later phase's failure must not let an earlier one pass."""
    match failure:
        case "bad":
            world.smoke.bad = True
        case "defect" | "crash":
            world.smoke.raises = RuntimeError("a bug")
        case "timeout":
            world.smoke.raises = TimeoutError()
        case "ill":
            world.ill("green")
        case "deploy":
            world.deployer.script.append(DeployOutcome(False, "ended with 3"))
            world.smoke.bad = True
        case "refused":
            world.fail("write", Unreachable("no route"), 1000)
        case "lost":
            world.fail("write", LOST, 1000)
        case "quota":
            world.guard.bad = True
            world.smoke.bad = True


async def _ends_in_a_halt(world: HaltWorld, driver: Driver, failure: str) -> None:
    assert await driver.ended() is Condition.HALTED, failure
    await asyncio.sleep(300)
    assert driver.switch.condition is Condition.HALTED, failure


# --- what is unknown ---


def test_what_is_unknown_at_a_halt_is_looked_up_at_once_and_only_then_is_there_a_way_on(tmp_path: Path) -> None:
    """The process is gone in the middle of a write at a halt: the next one looks before anybody may go on."""

    async def main() -> None:
        world = world_of(tmp_path)
        async with world.engine() as driver:
            world.fail("write", LOST, after=True)
            world.fail("read", Unreachable("no way"), 40)
            await driver.deploy()
            await driver.until(lambda: bool(driver.engine.state.unsettled))
            await driver.ask("halt")
            assert unknown.awaited(driver.engine.state)
            with pytest.raises(Refused, match="being looked up now"):
                await driver.engine.submit(Resume(), OPERATOR)
            shown = {one.verb: one for one in options(driver.engine.state, ("blue", "green"), world.clock.now())}
            assert not shown["resume"].lawful
            await driver.until(lambda: not driver.engine.state.in_doubt)
            assert driver.switch.condition is Condition.HALTED
            assert driver.engine.state.share("green") == 50, "it was made, and that is on record"
            shown = {one.verb: one for one in options(driver.engine.state, ("blue", "green"), world.clock.now())}
            assert shown["resume"].lawful
            await asyncio.sleep(86_400)
            assert world.shares("green") == [50]

    run(main())


def test_who_answers_a_halt_with_something_unknown_has_it_looked_up_first(tmp_path: Path) -> None:
    """The answer waits for the look, and is judged by what that look told."""

    async def main() -> None:
        world = world_of(tmp_path)
        async with world.engine() as driver:
            world.fail("write", LOST, after=True)
            world.fail("read", Unreachable("no way"), 40)
            await driver.deploy()
            await driver.until(lambda: bool(driver.engine.state.unsettled))
            await driver.ask("halt")
            world.mend()
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert [entry.event.recovered for entry in world.events(ev.WeightsSet)] == [True, False, False]  # type: ignore[attr-defined]

    run(main())


def test_a_deployment_that_went_on_without_its_daemon_is_found_while_a_person_is_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        world = world_of(tmp_path)
        world.deployer.seconds = 500.0
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.phase is Phase.DEPLOY)
            await asyncio.sleep(10)
            await driver.ask("halt")
        async with world.engine() as driver:
            state = driver.engine.state
            assert unknown.what(state) == "it is not known what became of the deployment to green"
            with pytest.raises(Refused, match="being looked up now"):
                await driver.ask("resume")
            with pytest.raises(Refused, match="still under way"):
                await driver.deploy("v3")
            await driver.until(lambda: driver.switch.open is None)
            assert (driver.switch.condition, driver.switch.phase) == (Condition.HALTED, Phase.WAIT_HEALTHY)
            assert world.deployer.deployed == ["v2 to green"]
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
