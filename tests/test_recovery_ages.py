"""What ages while nobody looks: a preflight, an operator's word, a clock that was set back; and what an artifact tells
of a deployment whose outcome is lost. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core import events as ev
from bluegreen.core.counts import CLOCK_BACK_SECONDS, PREFLIGHT_SECONDS, WORD_SECONDS
from bluegreen.core.state import ServiceState
from bluegreen.errors import AccessDenied, Unreachable
from bluegreen.model import WHOLE, Cause, Condition, Plan
from bluegreen.ports import DeployOutcome
from bluegreen.steps import deploy as deploy_step
from tests.fakes import OPERATOR, Driver, World
from tests.faults.world import PointedWorld
from tests.test_same_artifact import GIVEN, OTHER, Side
from tests.virtual import VirtualClock, run

HOUR = 3600.0


class Set(VirtualClock):
    """A wall clock that the test sets."""

    ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


def settable(directory: Path, **more: object) -> tuple[PointedWorld, Set]:
    world = PointedWorld(directory, points=("eu", "us"), **more)  # type: ignore[arg-type]
    world.clock = clock = Set()
    return world, clock


async def deploy(driver: Driver) -> None:
    await driver.deploy()


async def failback(driver: Driver) -> None:
    await driver.failback()


async def completed(world: World) -> None:
    async with world.engine() as driver:
        await driver.deploy()
        assert await driver.ended() is Condition.COMPLETED


# --- a preflight ---


@pytest.mark.parametrize(("away", "again"), [(PREFLIGHT_SECONDS - 60, False), (PREFLIGHT_SECONDS + 60, True)])
def test_a_deployment_begins_only_on_a_preflight_that_is_young(tmp_path: Path, away: float, again: bool) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        await world.a_life("journal.PreflightPassed.after", 1, deploy)
        await asyncio.sleep(away)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert len(world.events(ev.PreflightPassed)) == again, "the first one was of the life before"
    assert world.deployer.deployed == ["v2 to green"]


def test_what_is_no_longer_as_the_old_preflight_found_it_halts_before_anything_is_touched(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        await world.a_life("journal.PreflightPassed.after", 1, deploy)
        await asyncio.sleep(HOUR)
        world.balancers["us"].set_targets("blue", ())  # the way back is gone
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.PREFLIGHT_FAILED

    run(main())
    assert world.deployer.deployed == []


def test_a_deployment_that_failed_an_hour_ago_is_made_again_on_a_new_preflight(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)
    world.deployer.script.append(DeployOutcome(False, "no"))

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            await asyncio.sleep(HOUR)
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert len(world.events(ev.PreflightPassed)) == 2
    assert world.deployer.deployed == ["v2 to green"] * 2


# --- a clock that was set back while nobody looked ---


@pytest.mark.parametrize("kind", [deploy, failback], ids=["deployment", "failback"])
def test_a_clock_that_was_set_back_while_the_daemon_was_away_is_a_halt(
    tmp_path: Path, kind: Callable[[Driver], Awaitable[None]]
) -> None:
    world, clock = settable(tmp_path)

    async def main() -> None:
        if kind is failback:
            await completed(world)
        await world.a_life("balancer.write.after", 1, kind)
        clock.ahead = -HOUR
        written = [len(balancer.writes) for balancer in world.balancers.values()]
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.INTERRUPTED
            assert "clock" in driver.switch.halt.summary
            assert not driver.engine.state.in_doubt, "what is unknown is looked up all the same"
            assert [len(balancer.writes) for balancer in world.balancers.values()] == written
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_clock_that_was_put_right_by_a_little_is_no_halt(tmp_path: Path) -> None:
    world, clock = settable(tmp_path)

    async def main() -> None:
        await world.a_life("balancer.write.after", 1, deploy)
        clock.ahead = -CLOCK_BACK_SECONDS + 1
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_jump_that_is_on_record_is_no_halt_of_the_next_process(tmp_path: Path) -> None:
    world, clock = settable(tmp_path)

    async def act(driver: Driver) -> None:
        await driver.deploy()
        await driver.at(50)
        clock.ahead = -HOUR
        await driver.engine.observe()

    async def main() -> None:
        await world.a_life("journal.StepReached.after", 1, act)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_word_to_fail_back_does_not_get_younger_by_a_clock_that_is_set_back(tmp_path: Path) -> None:
    world, clock = settable(tmp_path)

    async def act(driver: Driver) -> None:
        await driver.failback()
        clock.ahead = -HOUR
        await driver.engine.observe()

    async def main() -> None:
        await completed(world)
        await world.a_life("balancer.write.after", 1, act)
        await asyncio.sleep(WORD_SECONDS + 60)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert "the word for this failback" in driver.switch.halt.summary

    run(main())


# --- an artifact ---


@pytest.mark.parametrize("once", [True, False], ids=["once only", "idempotent"])
@pytest.mark.parametrize("says", [GIVEN, OTHER, None], ids=["the one given", "another one", "nothing"])
def test_a_lost_deployment_is_known_by_the_artifact_that_runs(tmp_path: Path, once: bool, says: str | None) -> None:
    probe = Side()
    probe.says["green"] = says
    world, _ = settable(tmp_path, digest=probe, plan=Plan((), (500, WHOLE), 60.0, 300.0, 3600.0, deploy_again=not once))

    async def act(driver: Driver) -> None:
        await driver.fleet.deploy("web", "v2", OPERATOR, GIVEN)

    async def main() -> None:
        await world.a_life("deployer.deploy.after", 1, act)
        for command in world.deployer.runs.values():
            command.gone = True
        async with world.engine() as driver:
            ended = await driver.ended()
            assert (ended is Condition.COMPLETED) is (says == GIVEN)
            if says != GIVEN:
                assert driver.switch.halt is not None
                assert (driver.switch.halt.cause is Cause.INTERRUPTED) is once

    run(main())
    assert len(world.deployer.deployed) == (1 if says == GIVEN or once else 2)


@pytest.mark.parametrize("before", ["an earlier deployment", "an earlier try"])
def test_an_artifact_that_may_have_been_there_before_tells_nothing(tmp_path: Path, before: str) -> None:
    world, _ = settable(tmp_path, digest=Side())

    async def act(driver: Driver) -> None:
        if before == "an earlier try":
            world.deployer.script.append(DeployOutcome(False, "no"))
        await driver.fleet.deploy("web", "v2", OPERATOR, f"registry/web@{GIVEN}")
        if before == "an earlier try":
            await driver.ended()
            await driver.ask("resume")

    async def main() -> None:
        if before == "an earlier deployment":
            async with world.engine() as driver:
                await driver.fleet.deploy("web", "v1", OPERATOR, GIVEN)
                assert await driver.ended() is Condition.COMPLETED
                await driver.failback()
                assert await driver.ended() is Condition.COMPLETED
        await world.a_life("deployer.deploy.after", 2 if before == "an earlier try" else 1, act)
        for command in world.deployer.runs.values():
            command.gone = True
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.INTERRUPTED

    run(main())


def test_without_a_probe_a_lost_deployment_stays_unknown(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        await world.a_life("deployer.deploy.after", 1, lambda driver: driver.fleet.deploy("web", "v2", OPERATOR, GIVEN))
        for command in world.deployer.runs.values():
            command.gone = True
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED

    run(main())
    assert len(world.deployer.deployed) == 1


def test_there_is_nothing_to_find_where_no_switch_is_open(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)
    with pytest.raises(AssertionError):
        run(deploy_step.find(ServiceState("web"), world.open(world.setup()), lambda _: None))


# --- one switch point has it, the other has not ---


@pytest.mark.parametrize("error", [AccessDenied("no"), Unreachable("gone")])
def test_a_write_that_one_switch_point_refuses_halts_with_the_split_of_each(tmp_path: Path, error: Exception) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        world.balancers["us"].faults.extend([Fault("write", error)] * 4)  # type: ignore[arg-type]
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.summary.endswith("; green has 5% at eu, 0% at us")

    run(main())


def test_a_write_that_nobody_can_look_up_is_told_as_unknown_beside_what_is_known(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        await world.a_life("balancer.write.after", 2, deploy)
        world.balancers["us"].faults.extend([Fault("read", Unreachable("gone"))] * 1000)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.summary.endswith("; green has 5% at eu, an unknown share at us")

    run(main())


def test_a_write_that_was_made_in_part_is_not_told_as_somebody_elses_alone(tmp_path: Path) -> None:
    world, _ = settable(tmp_path)

    async def main() -> None:
        await world.a_life("journal.StepStarted:set_weights.after", 1, deploy)
        world.balancers["eu"].set_weights({"blue": 100, "green": 50})  # what was to rise has risen, no more
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.DRIFT
            assert "or a write whose answer was lost was made in part" in driver.switch.halt.summary
            await driver.ask("adopt")
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_the_limits_are_those_that_are_told(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "crash-matrix.md").read_text(encoding="utf-8")
    assert f"{PREFLIGHT_SECONDS / 60:g} minutes" in text
    assert f"{CLOCK_BACK_SECONDS / 60:g} minutes" in text
