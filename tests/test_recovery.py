"""A process that ends at any instant: the next one looks first, finishes what it may, and asks about the rest.

The crash matrix: before an entry is durable, after it is, before a write reaches the balancer, and after it did.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core import events as ev
from bluegreen.core.phases import WORD_SECONDS, fold
from bluegreen.model import WHOLE, Cause, Condition
from bluegreen.ports import DeployOutcome
from tests.fakes import Driver, World
from tests.virtual import run


class Crash(BaseException):
    """The process is gone: nothing that comes after happens."""


ENTRIES = 32
"""More entries than the deployment below writes: every one of them is a place to crash at."""


async def first_life(world: World) -> None:
    """Deploy, until the process is gone or the deployment has ended."""
    try:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
    except* Crash:
        pass


async def second_life(world: World) -> Driver:
    """Another process on the same journal and balancers."""
    async with world.engine() as driver:
        if driver.engine.state.switch is None:
            await driver.deploy()  # it never became durable: whoever asked has no answer and asks again
        await driver.ended()
        if driver.switch.condition is Condition.HALTED:
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.INTERRUPTED, f"a needless halt: {halt.summary}"
            await driver.ask("resume")
            await driver.ended()
        return driver


async def consistent(world: World, driver: Driver) -> None:
    """What must be true after any crash and recovery."""
    assert driver.switch.condition is Condition.COMPLETED
    for name, balancer in world.balancers.items():
        assert (await balancer.read()).same_split(driver.engine.state.points[name].native)
        shares = [weights.share("green") for weights in balancer.writes]
        assert shares == sorted(shares), "no traffic moves back"
        assert shares[-1] == WHOLE
    entries = await world.store.read("web")
    assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state


@pytest.mark.slow
@pytest.mark.parametrize("points", [("point",), ("eu", "us")], ids=["one point", "two points"])
@pytest.mark.parametrize("durable", [False, True], ids=["before it is durable", "after it is durable"])
@pytest.mark.parametrize("entry", range(ENTRIES))
def test_a_crash_at_any_entry_is_recovered_from(
    tmp_path: Path, entry: int, durable: bool, points: tuple[str, ...]
) -> None:
    world = World(tmp_path, points=points)

    class Counting:
        """Scripts the crash at the entry in question."""

        left = entry

    original = world.store.append

    async def append(service, expected, records):
        if Counting.left == 0 and not world.store.faults:
            world.store.faults.append((Crash(), durable))
        Counting.left -= 1
        return await original(service, expected, records)

    world.store.append = append  # type: ignore[method-assign]

    async def main() -> None:
        await first_life(world)
        world.store.faults.clear()
        Counting.left = -1
        await consistent(world, await second_life(world))

    run(main())


@pytest.mark.parametrize("after_effect", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("write", range(6))
def test_a_crash_at_any_write_is_looked_up(tmp_path: Path, write: int, after_effect: bool) -> None:
    world = World(tmp_path, points=("eu", "us"))
    balancer = world.balancers["eu" if write % 2 == 0 else "us"]

    async def crash() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: len(balancer.writes) >= write // 2 and driver.switch.proven)
            balancer.faults.append(Fault("write", Crash(), after_effect))  # type: ignore[arg-type]
            await driver.ended()

    async def main() -> None:
        try:
            await crash()
        except* Crash:
            pass
        unsettled_before = len(balancer.writes)
        driver = await second_life(world)
        await consistent(world, driver)
        assert len(balancer.writes) >= unsettled_before

    run(main())
    looked_up = [entry for entry in world.events(ev.WeightsSet) if entry.event.recovered]  # type: ignore[attr-defined]
    unchanged = world.events(ev.WeightsUnchanged)
    assert (len(looked_up), len(unchanged)) == ((1, 0) if after_effect else (0, 1))
    assert [weights.share("green") for weights in balancer.writes] == [50, 500, 1000], "nothing is written twice"


def test_a_failback_that_crashed_goes_on_with_the_operators_word_on_record(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def crash() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.balancer.faults.append(Fault("write", Crash(), True))  # type: ignore[arg-type]
            await driver.failback()
            await driver.ended()

    async def main() -> None:
        try:
            await crash()
        except* Crash:
            pass
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"
            assert driver.switch.reason == "as the test says"

    run(main())


def test_drift_while_the_process_was_gone_is_a_halt(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def crash() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.balancer.faults.append(Fault("write", Crash()))  # type: ignore[arg-type]
            await driver.ended()

    async def main() -> None:
        try:
            await crash()
        except* Crash:
            pass
        world.balancer.set_weights({"blue": 3, "green": 1})
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.DRIFT
            await asyncio.sleep(1000)
            assert dict(await world.balancer.read()) == {"blue": 3, "green": 1}

    run(main())


def test_a_mixed_split_is_finished_forward_only_while_the_checks_are_good(tmp_path: Path) -> None:
    """One switch point has the step, the other has not: after a restart the candidate is proven first."""
    world = World(tmp_path, points=("eu", "us"))

    async def crash() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.balancers["us"].faults.append(Fault("write", Crash()))  # type: ignore[arg-type]
            await driver.ended()

    async def main() -> None:
        try:
            await crash()
        except* Crash:
            pass
        mixed = [(await one.read()).share("green") for one in world.balancers.values()]
        assert mixed == [50, 0] or mixed == [500, 50]
        world.smoke.bad = True
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.CHECK_FAILED
            assert "at eu" in halt.summary
            assert "at us" in halt.summary
            assert [(await one.read()).share("green") for one in world.balancers.values()] == mixed
            world.smoke.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_a_failback_whose_word_is_old_is_asked_about_again(tmp_path: Path) -> None:
    world = World(tmp_path, points=("eu", "us"))

    async def crash() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.balancers["us"].faults.append(Fault("write", Crash()))  # type: ignore[arg-type]
            await driver.failback()
            await driver.ended()

    async def main() -> None:
        try:
            await crash()
        except* Crash:
            pass
        await asyncio.sleep(WORD_SECONDS + 1)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.INTERRUPTED
            assert (await world.balancers["us"].read()).share("green") == WHOLE
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"

    run(main())


# --- the row of the deploy command: it goes on without the daemon ---


async def killed(world: World, after: float) -> None:
    """The process is gone so many seconds after its deploy command began."""
    try:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.open is not None and driver.switch.open.step == "deploy")
            await asyncio.sleep(after)
            raise Crash
    except* Crash:
        pass


@pytest.mark.parametrize("durable", [False, True], ids=["a: before the intent", "b: before the start"])
def test_a_deployment_that_was_never_started_is_started_once_by_itself(tmp_path: Path, durable: bool) -> None:
    world = World(tmp_path)
    original = world.store.append

    async def append(service, expected, records):
        if records[-1].event == ev.StepStarted("deploy") and not world.deployer.found and not Crashed.times:
            Crashed.times += 1
            world.store.faults.append((Crash(), durable))
        return await original(service, expected, records)

    class Crashed:
        times = 0

    world.store.append = append  # type: ignore[method-assign]

    async def main() -> None:
        await first_life(world)
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert Crashed.times == 1
    assert world.deployer.deployed == ["v2 to green"]
    assert len(world.deployer.found) == durable
    assert not world.events(ev.Halted)
    assert len(world.events(ev.DeployNotMade)) == durable


@pytest.mark.parametrize("away", [0.0, 500.0], ids=["c: it runs", "c: it ended meanwhile"])
@pytest.mark.parametrize("ok", [True, False], ids=["well", "badly"])
def test_a_deployment_that_outlived_its_daemon_is_found_and_its_end_counts(
    tmp_path: Path, away: float, ok: bool
) -> None:
    world = World(tmp_path)
    world.deployer.seconds = 60.0
    world.deployer.script.append(DeployOutcome(ok, "as it says", "output"))

    async def main() -> None:
        await killed(world, 5.0)
        await asyncio.sleep(away)
        async with world.engine() as driver:
            ended = await driver.ended()
            assert ended is (Condition.COMPLETED if ok else Condition.HALTED)
            if driver.switch.halt is not None:
                assert (driver.switch.halt.cause, driver.switch.halt.output) == (Cause.DEPLOY_FAILED, "output")

    run(main())
    assert world.deployer.deployed == ["v2 to green"]


@pytest.mark.parametrize("again", [False, True], ids=["once only", "idempotent"])
def test_a_deployment_whose_result_is_lost_is_a_halt_or_made_again(tmp_path: Path, again: bool) -> None:
    world = World(tmp_path)
    world.plan = replace(world.plan, deploy_again=again)
    world.deployer.seconds = 60.0

    async def main() -> None:
        await killed(world, 5.0)
        for command in world.deployer.runs.values():
            command.gone = True
        async with world.engine() as driver:
            if await driver.ended() is Condition.HALTED:
                assert not again
                assert driver.switch.halt is not None
                assert driver.switch.halt.cause is Cause.INTERRUPTED
                assert len(world.deployer.deployed) == 1
                await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.deployed == ["v2 to green"] * 2
    assert len(world.events(ev.DeployNotMade)) == again


def test_a_deployment_that_is_on_record_is_not_looked_for(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        try:
            async with world.engine() as driver:
                await driver.deploy()
                await driver.until(lambda: bool(world.events(ev.Deployed)))
                raise Crash
        except* Crash:
            pass
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.found == []


def test_a_crash_while_a_deployment_is_looked_for_is_another_look(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deployer.seconds = 60.0

    async def main() -> None:
        await killed(world, 5.0)
        for _ in range(3):
            try:
                async with world.engine():
                    await asyncio.sleep(5.0)
                    raise Crash
            except* Crash:
                pass
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.deployer.deployed == ["v2 to green"]
    assert len(set(world.deployer.found)) == 1
