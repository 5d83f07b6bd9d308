"""Guards made of halts, in a running engine in virtual time: first in shadow, then enforcing; and over a restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bluegreen.balancers.memory import Fault
from bluegreen.core import admit_lessons
from bluegreen.core import events as ev
from bluegreen.core.event import Event
from bluegreen.core.notes.lessons import GUARD, SHADOW_BAD, GuardAdded
from bluegreen.errors import AccessDenied
from bluegreen.model import Condition, Finding
from bluegreen.ports import DeployOutcome
from tests.fakes import OPERATOR, Driver, ScriptedCheck, World
from tests.virtual import run

CHECK = json.dumps({"name": "orders-dns", "tcp": "orders:80"})


def kinds(driver: Driver) -> list[str]:
    return list(driver.engine.state.notes.lessons.kinds)


async def noted(driver: Driver, *events: Event) -> None:
    await driver.engine.note(lambda _: events, OPERATOR)


async def halted_in_smoke(world: World, driver: Driver, answer: str = "abort") -> None:
    """A halt of the past: a smoke check fails, and somebody gives it up."""
    world.smoke.bad = True
    await driver.deploy()
    assert await driver.ended() is Condition.HALTED
    world.smoke.bad = False
    await driver.ask(answer)


def preflight(world: World) -> Sequence[Finding]:
    """What the last preflight said."""
    found = [one.event for one in world.published if isinstance(one.event, ev.PreflightPassed | ev.Halted)]
    last = found[-1]
    assert isinstance(last, ev.PreflightPassed | ev.Halted)
    return last.findings


def named(findings: Sequence[Finding], name: str) -> Finding:
    return next(found for found in findings if found.check == name)


def test_a_guard_goes_from_shadow_to_enforcing_and_is_kept_over_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        guard = world.kept["orders-dns"] = ScriptedCheck("orders-dns")
        async with world.engine() as driver:
            await halted_in_smoke(world, driver)
            await noted(driver, GuardAdded("orders-dns", "tcp", CHECK, "smoke/orders/check_failed"))
            guard.bad = True
            await driver.deploy("v3")
            assert await driver.ended() is Condition.COMPLETED, "in shadow it halts nothing"
            found = named(preflight(world), "orders-dns")
            assert (found.ok, found.summary, found.detail[GUARD]) == (
                True,
                "shadow: would have failed: bad",
                SHADOW_BAD,
            )
            assert "lessons" not in [one.check for one in preflight(world)]
            await driver.engine.note(
                lambda now: admit_lessons.enforce(now, "orders-dns", force=False, reason=""), OPERATOR
            )
        async with world.engine() as driver:
            kept = driver.engine.state.notes.lessons.guards["orders-dns"]
            assert (kept.shadow, kept.ran, kept.failed) == (False, 1, 1)
            await driver.ask("release")
            await driver.deploy("v4")
            assert await driver.ended() is Condition.HALTED
            assert world.deployer.deployed == ["v2 to green", "v3 to green"], "it never got that far"
            found = named(preflight(world), "orders-dns")
            assert (found.ok, found.acceptable) == (False, True)
            assert "made of smoke/orders/check_failed: seen once" in found.advice
            await driver.ask("accept", check="orders-dns")
            assert await driver.ended() is Condition.COMPLETED
            assert "lessons" not in [one.check for one in preflight(world)], "what was passed over covers nothing"
            guard.bad = False
            await driver.ask("release")
            await driver.deploy("v5")
            assert await driver.ended() is Condition.COMPLETED
            covers = named(preflight(world), "lessons").summary
            assert covers == "covers 1 past halt: smoke/orders/check_failed (guard orders-dns)"
            assert driver.engine.state.notes.lessons.guards["orders-dns"].caught == 1

    run(main())


def test_a_plan_looks_with_the_same_guards_and_counts_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        world.kept["orders-dns"] = ScriptedCheck("orders-dns")
        async with world.engine() as driver:
            await noted(driver, GuardAdded("orders-dns", "tcp", CHECK))
            plan = await driver.fleet.deployment_plan("web", "v2", None)
            assert named(plan.findings, "orders-dns").summary == "shadow: good"
            assert driver.engine.state.notes.lessons.guards["orders-dns"].ran == 0

    run(main())


def test_a_guard_that_this_program_cannot_open_says_so_and_halts_only_where_it_enforces(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            odd = GuardAdded("odd", "odd", CHECK)
            await noted(driver, odd, replace(odd, name="sure", shadow=False))
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            assert named(preflight(world), "odd").ok
            assert not named(preflight(world), "sure").ok
            assert "cannot read the guard" in named(preflight(world), "sure").summary

    run(main())


def test_a_deploy_failure_is_told_apart_by_its_exit_code_and_a_refusal_by_its_class(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        world.deployer.script.append(DeployOutcome(False, "no", detail={"exit": "3"}))
        world.deployer.script.append(DeployOutcome(False, "no", detail={"exit": "-9"}))
        world.deployer.script.append(DeployOutcome(False, "no"))
        async with world.engine() as driver:
            for _ in range(3):
                await driver.deploy()
                await driver.ended()
                await driver.ask("abort")
            assert kinds(driver) == [
                "deploy/deploy_failed/exit_3", "deploy/deploy_failed/signal_9", "deploy/deploy_failed"
            ]  # fmt: skip
            world.balancer.faults.append(Fault("write", AccessDenied("no right")))
            await driver.deploy()
            await driver.ended()
            assert kinds(driver)[-1] == "shift/balancer_refused/access_denied"

    run(main())


def test_a_cause_that_comes_with_an_answer_is_on_record_in_one_write_with_it(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.bad = True
            await driver.deploy()
            await driver.ended()
            world.smoke.bad = False
            await driver.ask("resume", cause="dependency", note="the mock was down")
            assert await driver.ended() is Condition.COMPLETED
            names = [type(one.event).__name__ for one in world.published]
            assert names[names.index("Resumed") + 1] == "LessonResolved"
            one = driver.engine.state.notes.lessons.kinds["smoke/orders/check_failed"].last
            assert (one.cause, one.note, one.helped, one.end) == ("dependency", "the mock was down", True, "completed")

    run(main())
