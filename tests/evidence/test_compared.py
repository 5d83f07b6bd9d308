"""What failed at a halt is looked at on the live side at the same moment: health and artifact like any check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core.notes.evidence import SHARED
from bluegreen.core.notes.lessons import Guard
from bluegreen.errors import Unreachable
from bluegreen.evidence.compared import Compared, on_live
from bluegreen.model import Cause, Condition, Finding, Release, Target, TargetState
from bluegreen.ports import Scene
from tests.fakes import OPERATOR, Driver, ScriptedCheck, World
from tests.haltings import HaltWorld
from tests.test_same_artifact import GIVEN, OTHER, Side
from tests.virtual import run

ILL = Target("b1", TargetState.UNHEALTHY, "refused")
WELL = Target("b2", TargetState.HEALTHY)
Arrange = Callable[[World], None]


async def compared(driver: Driver) -> Compared:
    """The look at what is live, at the halt that the switch stands in."""
    assert await driver.ended() is Condition.HALTED
    halt, state = driver.switch.halt, driver.engine.state
    assert halt is not None
    assert state.live is not None
    return await on_live(state.live, state, driver.switch, halt, driver.engine.ports())


def _half_well(world: World) -> None:
    world.balancer.set_targets("blue", (ILL, WELL))


def _unread(world: World) -> None:
    world.balancer.faults.extend([Fault("targets", Unreachable("no route"))] * 100)


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (lambda world: None, "good (1 of 1 targets of blue are healthy, wanted 1): the balancer's health checks work, "
                             "the fault is green's"),
        (_half_well, f"bad too (1 of 2 targets of blue are healthy, wanted 2): {SHARED}"),  # by the same minimum
        (_unread, "health cannot be read: no route: nothing to compare with"),
    ],
)  # fmt: skip
def test_ill_targets_are_compared_with_those_of_the_live_side(tmp_path: Path, arrange: Arrange, said: str) -> None:
    world = HaltWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            world.ill("green")
            await driver.ended()
            arrange(world)
            found = await compared(driver)
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.UNHEALTHY
            assert found.conclusions == (f"point: the same look at blue, which is live: {said}",)
            assert [finding.check for finding in found.findings] == ["point: blue healthy"]

    run(main())


def test_a_side_to_fail_back_to_is_compared_by_the_minimum_of_a_failback(tmp_path: Path) -> None:
    world = HaltWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.ill("blue")
            world.balancer.set_targets("green", (ILL, WELL))
            await driver.failback()
            (said,) = (await compared(driver)).conclusions
            assert said.startswith("point: the same look at green, which is live: good (1 of 2 targets")

    run(main())


@pytest.mark.parametrize(
    ("says", "given", "said"),
    [
        (GIVEN, GIVEN, f"good (blue runs {GIVEN}, as given): the probe itself works, the fault is green's"),
        (OTHER, GIVEN, f"bad too (blue runs {OTHER}, not {GIVEN} which was given at deploy): {SHARED}"),
        (OTHER, None, f"it answers (blue runs {OTHER}; nothing was given to compare with): the probe itself works"),
        (None, None, "no answer that can be used (no answer within 5 s): nothing to compare with"),
    ],
)
def test_a_wrong_artifact_is_compared_with_what_is_on_record_of_the_live_side(
    tmp_path: Path, says: str | None, given: str | None, said: str
) -> None:
    probe = Side()
    world = World(tmp_path, digest=probe)

    async def main() -> None:
        async with world.engine() as driver:
            probe.says = {"blue": GIVEN, "green": OTHER}
            await driver.fleet.deploy("web", "v2", OPERATOR, GIVEN)
            await driver.ended()
            probe.says["blue"] = says
            state = driver.engine.state
            state = replace(state, releases={**state.releases, "blue": Release("v1", given)})
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.WRONG_ARTIFACT
            found = await on_live("blue", state, driver.switch, driver.switch.halt, driver.engine.ports())
            assert found.conclusions == (f"digest: the same look at blue, which is live: {said}",)

    run(main())


def test_a_guard_that_was_made_of_a_halt_is_asked_of_the_live_side_too(tmp_path: Path) -> None:
    world = HaltWorld(tmp_path)

    class OfGreen(ScriptedCheck):
        async def look(self, scene: Scene) -> Finding:
            return Finding(self.name, ok=scene.environment == "blue", summary="looked")

    world.kept["space"] = OfGreen("space")

    async def main() -> None:
        async with world.engine() as driver:
            world.guard.bad = True
            await driver.deploy()
            await driver.ended()
            state, switch, halt = driver.engine.state, driver.switch, driver.switch.halt
            assert halt is not None
            guard = Guard("space", "tcp", '{"name": "space"}', "", False, "ann", world.clock.now())
            notes = replace(state.notes, lessons=replace(state.notes.lessons, guards={"space": guard}))
            failed = replace(halt, findings=(*halt.findings, Finding("space", ok=False, summary="looked")))
            found = await on_live("blue", replace(state, notes=notes), switch, failed, driver.engine.ports())
            assert "space is good on blue: the check itself works, the fault is green's" in found.conclusions
            assert f"quota fails on blue too (bad): {SHARED}" in found.conclusions

    run(main())
