"""The engine's laws, in virtual time: what it does when everything goes well, and above all when something does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core import events as ev
from bluegreen.core.requests import Ask
from bluegreen.errors import (
    AccessDenied,
    BadRequest,
    CredentialsEnded,
    OutcomeUnknown,
    Refused,
    StateMoved,
    Throttled,
    Unreachable,
)
from bluegreen.model import WHOLE, Actor, Cause, Condition, Phase, Plan, Target, TargetState
from bluegreen.ports import DeployOutcome
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

LOST = OutcomeUnknown("the answer was lost")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_deployment_goes_step_by_step_and_leaves_the_old_side_warm(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            state = driver.engine.state
            assert (state.live, list(state.warm)) == ("green", ["blue"])
            assert state.releases["green"].version == "v2"

    run(main())
    assert world.shares("green") == [50, 500, 1000]
    assert world.deployer.deployed == ["v2 to green"]
    waited = [entry.event.seconds for entry in world.events(ev.Watched) if isinstance(entry.event, ev.Watched)]
    assert sum(waited) >= 60 + 60 + 300


def test_every_effect_has_its_intent_before_and_its_outcome_after(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()

    run(main())
    kinds = [type(entry.event) for entry in world.published]
    for number, kind in enumerate(kinds):
        if kind in (ev.WeightsSet, ev.Deployed):
            assert kinds[number - 1] is ev.StepStarted


def test_a_failed_smoke_check_halts_before_any_traffic_and_a_resume_really_runs_it_again(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.bad = True
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert (driver.switch.phase, driver.switch.halt.cause) == (Phase.SMOKE, Cause.CHECK_FAILED)
            await asyncio.sleep(200_000)  # two days
            assert driver.switch.condition is Condition.HALTED
            assert world.balancer.writes == []
            await driver.ask("resume")
            assert await driver.ended() is Condition.HALTED, "the cause is still there"
            world.smoke.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert len(world.smoke.looks) == 3

    run(main())


def test_a_halt_survives_a_restart_and_moves_nothing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(500)
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED
            before = await driver.shown()
        async with world.engine() as driver:
            await asyncio.sleep(100_000)
            assert driver.switch.condition is Condition.HALTED
            assert await driver.shown() == before

    run(main())
    assert world.shares("green") == [50, 500]


def test_a_lost_answer_is_looked_up_and_the_write_is_not_made_twice(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("write", LOST, after_effect=True))
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]
    assert [entry.event.recovered for entry in world.events(ev.WeightsSet)] == [True, False, False]  # type: ignore[attr-defined]


def test_a_write_that_never_arrived_is_looked_up_and_made_again(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("write", LOST))
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert len(world.events(ev.WeightsUnchanged)) == 1
    assert world.shares("green") == [50, 500, 1000]


RENEW = "the credentials have expired: renew them"
EXPIRED = CredentialsEnded("ExpiredToken", RENEW)


def test_lost_answers_have_a_limit(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.extend([Fault("write", LOST)] * 50)
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.OUTCOME_UNKNOWN

    run(main())
    assert world.balancer.writes == []


def test_a_balancer_that_cannot_be_read_after_a_lost_answer_is_a_halt_that_says_unknown(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("write", LOST, after_effect=True))
            world.balancer.faults.extend([Fault("read", Unreachable("no way"))] * 1000)
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert list(driver.engine.state.unsettled) == ["point"]
            with pytest.raises(Refused, match="not known what became of a write"):
                await driver.ask("abort")
            world.balancer.faults.clear()
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_credentials_that_end_during_a_write_are_a_halt_that_says_so_and_once_they_are_renewed_it_is_looked_up(
    world: World, made: bool
) -> None:
    """Nobody can look either: that a person has to renew them is said within seconds, and nothing is guessed."""

    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("write", EXPIRED, after_effect=made))
            world.balancer.faults.extend([Fault("read", AccessDenied("ExpiredToken", RENEW))] * 1000)
            began = asyncio.get_running_loop().time()
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert asyncio.get_running_loop().time() - began < 60
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.OUTCOME_UNKNOWN
            assert "what became of a write to point is not known: ExpiredToken" in halt.summary
            assert halt.advice.startswith(RENEW)
            assert list(driver.engine.state.unsettled) == ["point"]
            with pytest.raises(Refused, match="not known what became of a write"):
                await driver.ask("abort")
            world.balancer.faults.clear()
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert [entry.event.recovered for entry in world.events(ev.WeightsSet)] == [made, False, False]  # type: ignore[attr-defined]
    assert world.shares("green") == [50, 500, 1000]


def test_expired_credentials_that_can_still_look_are_tried_again_within_the_limit_and_named_at_the_halt(
    world: World,
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.extend([Fault("write", EXPIRED)] * 50)
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.BALANCER_REFUSED
            assert "nothing was changed. The last one: ExpiredToken" in halt.summary
            assert halt.advice == f"{RENEW}; then `resume`"

    run(main())
    assert world.balancer.writes == []
    assert len(world.events(ev.WeightsUnchanged)) == 3


@pytest.mark.parametrize("error", [Throttled("slow down"), Unreachable("no route")])
def test_a_write_that_surely_had_no_effect_is_tried_again_within_limits(world: World, error: Exception) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.extend([Fault("write", error)] * 2)  # type: ignore[arg-type]
            await driver.deploy()
            await driver.at(50)
            world.balancer.faults.extend([Fault("write", error)] * 100)  # type: ignore[arg-type]
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.BALANCER_UNREACHABLE
            assert len(world.balancer.faults) == 96

    run(main())
    assert world.shares("green") == [50]


def test_a_refused_write_is_a_halt_at_once(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("write", AccessDenied("no right", "ask for it")))
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.advice == "ask for it"
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_somebody_elses_change_halts_a_running_switch_and_is_never_overwritten(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.balancer.set_weights({"blue": 70, "green": 30})
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.DRIFT
            with pytest.raises(Refused, match="bluegreen restore web"):
                await driver.ask("resume")
            assert dict(await driver.shown()) == {"blue": 70, "green": 30}
            await driver.ask("adopt")
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]


def test_drift_between_switches_is_said_and_refuses_a_deployment_until_adopted(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.set_weights({"blue": 50, "green": 50})
            with pytest.raises(Refused, match="the journal says"):
                await driver.deploy()
            assert list(driver.engine.state.drift) == ["point"]
            world.balancer.set_weights({"blue": 7, "green": 0})
            await driver.until(lambda: not driver.engine.state.drift)
            world.balancer.set_weights({"blue": 0, "green": 100})
            await driver.until(lambda: bool(driver.engine.state.drift))
            await driver.ask("adopt")
            assert driver.engine.state.live == "green"
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"

    run(main())


def test_a_bad_gate_halts_and_holds_the_split_and_can_be_accepted_by_name(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED
            with pytest.raises(Refused, match="not among the failed checks"):
                await driver.ask("accept", check="orders")
            await driver.ask("accept", check="errors")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]


def test_no_weight_goes_to_an_environment_that_is_ill_at_that_moment(world: World) -> None:
    ill = (Target("green", TargetState.UNHEALTHY, "refused"),)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.proven)
            world.balancer.set_targets("green", ill)
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.UNHEALTHY

    run(main())
    assert all(share <= 50 for share in world.shares("green"))


def test_a_candidate_that_falls_ill_while_it_is_watched_halts(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(1000)
            world.balancer.set_targets("green", (Target("green", TargetState.UNHEALTHY),))
            assert await driver.ended() is Condition.HALTED
            assert driver.engine.state.live == "green"

    run(main())
    assert world.shares("green") == [50, 500, 1000], "no traffic moves back by itself"


def test_a_release_that_never_becomes_healthy_halts_when_its_time_is_over(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.set_targets("green", (Target("green", TargetState.INITIAL),))
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.phase is Phase.WAIT_HEALTHY

    run(main())
    assert world.balancer.writes == []


def test_a_failed_deploy_command_halts_with_its_output_and_is_run_again_by_resume(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.deployer.script.append(DeployOutcome(False, "ended with 3", "no space left"))
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.output == "no space left"
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.deployed == ["v2 to green"] * 2


def test_a_pause_holds_and_gates_are_looked_at_meanwhile(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            await driver.ask("pause")
            await asyncio.sleep(10_000)
            assert world.shares("green") == [50]
            looks = len(world.gate.looks)
            await asyncio.sleep(100)
            assert len(world.gate.looks) > looks
            await driver.ask("resume")
            await driver.at(500)
            await driver.ask("pause")
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED

    run(main())


def test_an_approval_is_awaited_for_as_long_as_it_takes(world: World) -> None:
    world.plan = Plan(world.points, (50, WHOLE), None)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.awaiting_approval)
            await asyncio.sleep(20_000)
            assert world.shares("green") == [50]
            with pytest.raises(Refused, match="waits for an approval"):
                await driver.ask("resume")
            await driver.ask("approve")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_promote_skips_the_remaining_steps(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            with pytest.raises(Refused, match="only a shift can be promoted"):
                await driver.ask("promote")
            await driver.at(50)
            await driver.ask("promote")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 1000]


def test_an_abort_ends_a_running_deploy_command(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.deployer.hang = True
            await driver.deploy()
            await driver.until(lambda: driver.switch.open is not None and driver.switch.open.step == "deploy")
            await asyncio.sleep(5)
            await driver.ask("abort")
            assert driver.switch.condition is Condition.ABORTED
            assert world.deployer.cancelled == 1
            world.deployer.hang = False
            await driver.deploy("v3")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_an_abort_is_refused_once_the_candidate_has_traffic(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            with pytest.raises(Refused, match="failback web"):
                await driver.ask("abort")

    run(main())


def test_a_failback_in_mid_shift_goes_back_and_ends_the_deployment(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            first = await driver.deploy()
            await driver.at(500)
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"
            assert driver.fleet.switch(first.id)[1].condition is Condition.FAILED_BACK
            assert dict(await driver.shown()) == {"blue": 1000, "green": 0}

    run(main())


def test_a_failback_goes_back_though_the_gates_are_bad(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(1000)
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"

    run(main())


def test_a_failback_halts_when_the_warm_side_is_not_able(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.balancer.set_targets("blue", (Target("blue", TargetState.UNHEALTHY),))
            await driver.failback()
            assert await driver.ended() is Condition.HALTED
            await driver.ask("abort")
            assert driver.engine.state.live == "green"
            assert "blue" in driver.engine.state.warm

    run(main())
    assert world.shares("green")[-1] == 1000


def test_a_failback_without_a_reason_is_refused_and_writes_nothing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            version = driver.engine.state.version
            with pytest.raises(Refused, match="needs a reason"):
                await driver.fleet.failback("web", None, Ask(Actor("uid:0"), " "))
            assert driver.engine.state.version == version

    run(main())


def test_a_failback_plan_is_refused_once_the_state_is_another(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            plan = await driver.fleet.failback_plan("web")
            await driver.at(500)
            with pytest.raises(StateMoved):
                await driver.fleet.failback("web", plan.id, OPERATOR)

    run(main())


def test_the_same_request_twice_does_one_thing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            ask = Ask(Actor("token:ci"), "", "key-1", "digest")
            first = await driver.fleet.deploy("web", "v2", ask)
            again = await driver.fleet.deploy("web", "v2", ask)
            assert first.id == again.id
            with pytest.raises(BadRequest):
                await driver.fleet.deploy("web", "v3", Ask(Actor("token:ci"), "", "key-1", "another digest"))
            assert await driver.ended() is Condition.COMPLETED
        async with world.engine() as driver:
            assert (await driver.fleet.deploy("web", "v2", ask)).id == first.id, "also after a restart"

    run(main())
    assert len(world.events(ev.Requested)) == 1


def test_a_second_switch_is_refused_while_one_runs(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            with pytest.raises(Refused, match="one switch at a time"):
                await driver.deploy("v3")

    run(main())


def test_a_defect_in_a_hand_is_a_halt_that_says_so(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.raises = ZeroDivisionError("oops")
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.BUG

    run(main())


def test_several_switch_points_each_take_every_step(tmp_path: Path) -> None:
    world = World(tmp_path, points=("eu", "us"))

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    for balancer in world.balancers.values():
        assert [weights.share("green") for weights in balancer.writes] == [50, 500, 1000]


async def deploying(driver: Driver) -> None:
    """A deploy command runs."""
    await driver.deploy()
    await driver.until(lambda: driver.switch.open is not None and driver.switch.open.step == "deploy")
    await asyncio.sleep(1)


def test_a_stop_leaves_a_deploy_command_running_and_the_next_start_finds_it(world: World) -> None:
    world.deployer.seconds = 60.0

    async def main() -> None:
        async with world.engine() as driver:
            await deploying(driver)
            version = driver.engine.state.version
        assert len(await world.store.read("web")) == version, "a stop is nothing that happens to the deployment"
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.deployed == ["v2 to green"]
    assert world.deployer.cancelled == 0
    assert not world.events(ev.Halted)


def test_an_abort_ends_a_deploy_command_that_another_process_started(world: World) -> None:
    world.deployer.hang = True

    async def main() -> None:
        async with world.engine() as driver:
            await deploying(driver)
        async with world.engine() as driver:
            await asyncio.sleep(5)
            await driver.ask("abort")
            assert driver.switch.condition is Condition.ABORTED
            assert world.deployer.cancelled == 1
            world.deployer.hang = False
            await driver.deploy("v3")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


@pytest.mark.parametrize(
    ("left", "stuck", "another"),
    [("it was not ended: 4711", 0.0, False), ("it was not ended: 4711", 0.0, True), ("", 60.0, False)],
    ids=["left", "left, and another process's", "no answer"],
)
def test_an_abort_that_cannot_end_a_deploy_command_says_so_and_is_done_when_it_is_asked_for_again(
    world: World, left: str, stuck: float, another: bool
) -> None:
    world.deployer.hang = True
    world.deployer.left_over, world.deployer.stuck = left, stuck

    async def main() -> None:
        async with world.engine() as driver:
            await deploying(driver)
            if not another:
                await refused(driver)
        if another:
            async with world.engine() as driver:
                await refused(driver)

    async def refused(driver: Driver) -> None:
        await asyncio.sleep(5)
        with pytest.raises(Refused, match=f"nothing was aborted: .* was to be ended: .*{left or 'not known'}"):
            await driver.ask("abort")
        assert driver.switch.halt is not None
        assert driver.switch.halt.cause is Cause.INTERRUPTED
        await asyncio.sleep(100)
        assert driver.switch.halts == 1
        await driver.ask("abort")
        assert driver.switch.condition is Condition.ABORTED

    run(main())


@pytest.mark.parametrize("halted", [False, True], ids=["at its first instant", "halted, and nobody looks for it"])
def test_no_abort_comes_too_early_to_end_what_another_process_started(world: World, halted: bool) -> None:
    world.deployer.hang = True

    async def main() -> None:
        async with world.engine() as driver:
            await deploying(driver)
            if halted:
                await driver.ask("halt")
        async with world.engine() as driver:
            async with asyncio.timeout(100):
                await driver.ask("abort")
            assert driver.switch.condition is Condition.ABORTED
        assert world.deployer.cancelled == 1

    run(main())


def test_a_paused_switch_finds_its_deployment_and_stays_paused(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.deployer.seconds = 60.0
            await deploying(driver)
            await driver.ask("pause")
        async with world.engine() as driver:
            await driver.until(lambda: bool(world.events(ev.Deployed)))
            assert driver.switch.condition is Condition.PAUSED
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.deployed == ["v2 to green"]


def test_a_halted_candidate_is_not_started_again(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            assert driver.engine.state.may_touch("green")
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED
            assert not driver.engine.state.may_touch("green")
            assert driver.engine.state.may_touch("blue")

    run(main())


def test_an_idle_side_with_requests_in_flight_is_not_deployed_over(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.set_targets("green", (Target("green", TargetState.HEALTHY, in_flight=3),))
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert "3 requests are still in flight" in driver.switch.halt.summary
            assert world.deployer.deployed == []
            world.balancer.set_targets("green", (Target("green", TargetState.HEALTHY, in_flight=0),))
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_defect_in_reading_a_balancer_is_shown_and_ends_nothing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.faults.append(Fault("read", ZeroDivisionError("oops")))  # type: ignore[arg-type]
            await driver.engine.observe()
            assert "a defect of bluegreen itself: ZeroDivisionError" in driver.engine.seen["point"].error
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
