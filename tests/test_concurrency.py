"""Several people at once, and requests that come twice: one switch, one answer, and no line stopped for nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.requests import Ask
from bluegreen.core.state import Switch
from bluegreen.errors import BadRequest, OutcomeUnknown, Refused, Unreachable
from bluegreen.model import WHOLE, Actor, Condition, Weights
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

CLIENT_SECONDS = 10.0
"""How long the command line waits for an answer."""


class SlowBalancer(MemoryBalancer):
    """A write takes `seconds`, and is then made."""

    seconds = 0.0

    async def write(self, expected: Weights, target: Weights) -> None:
        await asyncio.sleep(self.seconds)
        await super().write(expected, target)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, points=("eu", "us"))
    made.balancers = {
        name: SlowBalancer(name, made.environments, tmp_path / f"{name}.json", None) for name in made.points
    }
    return made


def slow(world: World, seconds: float) -> None:
    for balancer in world.balancers.values():
        assert isinstance(balancer, SlowBalancer)
        balancer.seconds = seconds


def asked(key: str, reason: str = "as the test says", digest: str = "same") -> Ask:
    return Ask(Actor("uid:1000(ann)"), reason, key, digest)


async def writing(driver: Driver, writes: int = 0) -> None:
    """Until a write is under way, after so many were made."""
    made = driver.world.balancer.writes
    await driver.until(lambda: len(made) >= writes and driver.engine._writing())
    await asyncio.sleep(0.1)


async def deployed(driver: Driver) -> None:
    await driver.deploy()
    assert await driver.ended() is Condition.COMPLETED


def test_a_second_failback_during_a_write_of_the_first_is_refused_and_stops_nothing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver)
            slow(world, 4.0)
            first = await driver.failback()
            await writing(driver)
            with pytest.raises(Refused, match=first.id):
                await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.switch.id == first.id

    run(main())
    assert world.events(ev.Halted) == []


def test_the_same_failback_asked_again_during_its_own_write_is_one_failback_and_stops_nothing(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver)
            slow(world, 4.0)
            first = await driver.fleet.failback("web", None, asked("k"))
            await writing(driver)
            again = await driver.fleet.failback("web", None, asked("k"))
            assert again.id == first.id
            with pytest.raises(BadRequest, match="another request"):
                await driver.fleet.failback("web", None, asked("k", digest="other"))
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.events(ev.Halted) == []


def test_a_failback_that_is_refused_anyway_does_not_stop_a_deployment_that_writes(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            slow(world, 4.0)
            await driver.deploy()
            await writing(driver)
            with pytest.raises(Refused, match="reason"):
                await driver.fleet.failback("web", None, replace(OPERATOR, reason=" "))
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.events(ev.Halted) == []


def test_a_failback_during_a_write_halts_the_deployment_waits_for_the_outcome_and_goes_back(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            slow(world, 4.0)
            started = await driver.deploy()
            await writing(driver, 1)
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"
            assert driver.engine.state.past[-1].id == started.id

    run(main())
    kinds = [type(entry.event).__name__ for entry in world.published]
    halt = kinds.index("Halted")
    assert kinds[halt + 1 : halt + 4] == ["WeightsSet", "FailedBack", "Requested"]
    for balancer in world.balancers.values():
        assert balancer.writes[-1].share("blue") == WHOLE


def test_a_failback_during_a_write_without_an_answer_halts_and_says_so_within_seconds(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            slow(world, 30.0)
            await driver.deploy()
            await writing(driver)
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(Refused, match="halted, but a write that is under way has no answer yet"):
                await driver.failback()
            assert loop.time() - began < CLIENT_SECONDS
            assert driver.switch.condition is Condition.HALTED
            with pytest.raises(Refused, match="halted, but a write that is under way has no answer yet"):
                await driver.failback()
            assert len(world.events(ev.Halted)) == 1, "it is halted: asking again halts nothing"
            await driver.until(lambda: not driver.engine.state.in_doubt)
            slow(world, 0.0)
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"

    run(main())


def test_a_failback_while_a_write_is_looked_up_is_answered_within_seconds_and_goes_on_record(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            gone = [Fault("read", Unreachable("gone"))] * 80
            world.balancer.faults.extend([Fault("write", OutcomeUnknown("lost"), True), *gone])
            await driver.until(lambda: driver.engine.state.unsettled)
            await asyncio.sleep(5)
            loop = asyncio.get_running_loop()
            began = loop.time()
            plan = await driver.fleet.failback_plan("web")
            assert plan.lawful
            assert set(plan.now) == {"us"}, "what cannot be read is not shown as known"
            started = await driver.fleet.failback("web", plan.id, OPERATOR)
            assert loop.time() - began < CLIENT_SECONDS
            assert set(driver.engine.state.unsettled) == {"eu"}, "the document says so"
            world.balancer.faults.clear()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.switch.id == started.id
            assert driver.engine.state.live == "blue"

    run(main())


def test_a_failback_to_a_balancer_that_cannot_be_read_halts_and_says_why_within_seconds(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(
                lambda: all(one.native.share("green") >= 50 for one in driver.engine.state.points.values())
            )
            unreadable = world.balancers["us"]
            unreadable.faults.extend([Fault("read", Unreachable("us: weights: cannot be read"))] * 9999)
            loop = asyncio.get_running_loop()
            began = loop.time()
            plan = await driver.fleet.failback_plan("web")
            assert set(plan.now) == {"eu"}, "what cannot be read is not shown as known"
            started = await driver.fleet.failback("web", plan.id, OPERATOR)
            assert await driver.ended() is Condition.HALTED
            assert loop.time() - began < CLIENT_SECONDS
            halt = driver.switch.halt
            assert halt is not None
            assert driver.switch.id == started.id
            assert "us: weights: cannot be read" in halt.summary

    run(main())


@pytest.mark.parametrize("place", ["preflight", "deploy", "smoke"])
def test_a_failback_before_the_candidate_has_traffic_is_refused_for_an_abort_and_stops_nothing(
    world: World, place: str
) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with world.engine() as driver:
            if place == "preflight":
                world.balancer.examine = hang  # type: ignore[method-assign, assignment]
            elif place == "deploy":
                world.deployer.hang = True
            else:
                world.smoke.look = hang  # type: ignore[method-assign, assignment]
            await driver.deploy()
            await driver.until(lambda: driver.switch.phase == place and driver.switch.open)
            await asyncio.sleep(3)
            began = asyncio.get_running_loop().time()
            with pytest.raises(Refused, match="no traffic: there is nothing to move back; `abort`"):
                await driver.failback()
            assert driver.switch.condition is Condition.RUNNING
            await driver.ask("abort")
            assert await driver.ended() is Condition.ABORTED
            assert asyncio.get_running_loop().time() - began < CLIENT_SECONDS

    run(main())
    assert world.balancer.writes == []


def test_deployments_asked_for_at_once_are_one_and_the_others_are_told_which(world: World) -> None:
    async def one(driver: Driver, number: int) -> Switch | Refused:
        try:
            return await driver.fleet.deploy("web", f"v{number}", OPERATOR)
        except Refused as refusal:
            return refusal

    async def main() -> None:
        async with world.engine() as driver:
            answers = await asyncio.gather(*[one(driver, number) for number in range(8)])
            (started,) = [answer for answer in answers if isinstance(answer, Switch)]
            assert all(started.id in str(answer) for answer in answers if isinstance(answer, Refused))
            assert await driver.ended() is Condition.COMPLETED
            assert driver.switch.version == started.version

    run(main())


def test_the_same_request_twice_at_the_same_time_is_one_switch(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            ask = asked("k")
            both = await asyncio.gather(*[driver.fleet.deploy("web", "v2", ask) for _ in range(2)])
            assert both[0].id == both[1].id
            assert await driver.ended() is Condition.COMPLETED
            both = await asyncio.gather(*[driver.fleet.failback("web", None, asked("b")) for _ in range(2)])
            assert both[0].id == both[1].id
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert len(world.events(ev.Requested)) == 2


def test_a_storm_of_pauses_resumes_and_promotes_ends_with_everything_on_one_side(world: World) -> None:
    async def storm(driver: Driver, verb: str, every: float) -> int:
        refused = 0
        for _ in range(100):
            try:
                await driver.ask(verb)
            except Refused:
                refused += 1
            await asyncio.sleep(every)
        return refused

    async def main() -> None:
        async with world.engine() as driver:
            slow(world, 0.5)
            await driver.deploy()
            storms = [("pause", 1.1), ("resume", 0.7), ("promote", 13.0), ("resume", 1.9), ("abort", 2.3)]
            await driver.until(lambda: driver.engine.state.share("green") > 0)
            refused = await asyncio.gather(*[storm(driver, verb, every) for verb, every in storms])
            if driver.switch.condition is Condition.PAUSED:
                await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert refused[-1] > 0, "nothing that has traffic is aborted"

    run(main())
    assert world.events(ev.Halted) == []
    for balancer in world.balancers.values():
        shares = [weights.share("green") for weights in balancer.writes]
        assert shares == sorted(shares), "no traffic moves back"
        assert shares[-1] == WHOLE


def test_a_stop_after_an_intent_and_before_its_write_sends_nothing(tmp_path: Path) -> None:
    """The write waits its turn behind a look that hangs; then the process is stopped: it must not begin any more."""
    world = World(tmp_path)
    hanging, read = asyncio.Event(), world.balancer.read

    async def hang() -> Weights:
        await hanging.wait()
        return await read()

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            await driver.until(lambda: driver.switch.watched == 45)
            await asyncio.sleep(13)  # two seconds before the next intent
            world.balancer.read = hang  # type: ignore[method-assign]
            async with asyncio.TaskGroup() as group:
                group.create_task(driver.engine.observe())
                await driver.until(lambda: driver.switch.open)
                await driver.engine.stop()
                hanging.set()
        assert world.shares("green") == [50]
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]
    assert world.events(ev.Halted) == []
