"""A failback as an operator asks for it: what must be said, that it is enforced, and that its steps are verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.core import events as ev
from bluegreen.core.manifest import Advisory, Change, ChangeKind, Direction, write_down
from bluegreen.core.requests import Ask
from bluegreen.core.verdicts import Verdict
from bluegreen.errors import BadRequest, Refused, StateMoved, Unreachable
from bluegreen.model import WHOLE, Actor, Condition, Plan, Target, TargetState
from bluegreen.ports import Setup
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

CHANGES = (
    Change(ChangeKind.SCHEMA, "orders", "orders lose a column", phase=Direction.CONTRACT),
    Change(ChangeKind.SECURITY, "tls", "tls is mended", advisories=(Advisory("CVE-2026-1"),)),
)
UNSAFE = ("point-of-no-return", "schema:orders", "security:tls")


class InSteps(World):
    """Fails back by 10 %, then all of it."""

    def setup(self) -> Setup:
        return replace(super().setup(), failback=Plan(self.points, (100, WHOLE), 60.0))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def deployed(driver: Driver, changes: str = write_down(CHANGES)) -> None:
    await driver.fleet.deploy("web", "v2", OPERATOR, changes=changes)
    assert await driver.ended() is Condition.COMPLETED


def test_each_unsafe_line_must_be_acknowledged_by_its_id_and_the_name_typed(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver)
            plan = await driver.fleet.failback_plan("web")
            assert tuple(line.id for line in plan.report.unsafe()) == UNSAFE
            version = driver.engine.state.version
            for missing in UNSAFE:
                said = [id_ for id_ in UNSAFE if id_ != missing]
                with pytest.raises(BadRequest, match="not acknowledged") as refused:
                    await driver.fleet.failback("web", plan.id, OPERATOR, acknowledge=said, confirm="web")
                text = next(line.text for line in plan.report.lines if line.id == missing)
                assert refused.value.errors == {missing: text}
            for confirm in (None, "wbe"):
                with pytest.raises(BadRequest, match="service's name"):
                    await driver.fleet.failback("web", plan.id, OPERATOR, acknowledge=UNSAFE, confirm=confirm)
            with pytest.raises(BadRequest, match="not in this plan's report: schema:other"):
                await driver.fleet.failback(
                    "web", plan.id, OPERATOR, acknowledge=[*UNSAFE, "schema:other"], confirm="web"
                )
            assert driver.engine.state.version == version, "what is refused writes nothing"
            started = await driver.fleet.failback("web", plan.id, OPERATOR, acknowledge=UNSAFE, confirm="web")
            assert started.acknowledged == UNSAFE
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_without_unsafe_lines_the_plan_and_a_reason_are_enough(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "")
            plan = await driver.fleet.failback_plan("web")
            assert Verdict.UNKNOWN in {line.verdict for line in plan.report.lines}
            await driver.fleet.failback("web", plan.id, OPERATOR)
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_the_plan_is_another_one_once_something_has_become_unsafe(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "[]")
            plan = await driver.fleet.failback_plan("web")
            assert plan.id == (await driver.fleet.failback_plan("web")).id
            world.balancer.set_targets("blue", (Target("blue", TargetState.UNHEALTHY),))
            with pytest.raises(StateMoved):
                await driver.fleet.failback("web", plan.id, OPERATOR)
            assert (await driver.fleet.failback_plan("web")).report.unsafe()[0].id == "capacity:point"

    run(main())


def test_the_plan_is_another_one_once_its_steps_are(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "[]")
            plan = await driver.fleet.failback_plan("web")
            in_steps = replace(world.setup(), failback=Plan(world.points, (100, WHOLE), 60.0), config_hash="other")
            await driver.engine.reconfigure(in_steps)
            with pytest.raises(StateMoved):
                await driver.fleet.failback("web", plan.id, OPERATOR)

    run(main())


def test_a_plan_is_of_one_release_though_the_next_one_looks_the_same(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "[]")
            plan = await driver.fleet.failback_plan("web")
            await driver.fleet.failback("web", plan.id, OPERATOR)
            assert await driver.ended() is Condition.COMPLETED
            await deployed(driver, "[]")
            again = await driver.fleet.failback_plan("web")
            assert (again.target, again.after) == (plan.target, plan.after)
            with pytest.raises(StateMoved):
                await driver.fleet.failback("web", plan.id, OPERATOR)

    run(main())


def test_what_a_failback_acknowledged_is_on_record_with_who_said_so(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver)
            await driver.fleet.failback("web", None, OPERATOR, acknowledge=UNSAFE, confirm="web")
            await driver.ended()
        async with world.engine() as driver:
            assert driver.switch.acknowledged == UNSAFE

    run(main())
    requested = world.events(ev.Requested)[-1]
    assert requested.record.by == str(OPERATOR.actor)


def test_a_failback_in_steps_smokes_the_receiving_side_before_its_first_share_and_verifies_each(tmp_path: Path) -> None:
    world = InSteps(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "[]")
            looks, gates = len(world.smoke.looks), len(world.gate.looks)
            world.smoke.bad = True
            await driver.failback()
            assert await driver.ended() is Condition.HALTED
            assert driver.engine.state.share("blue") == 0, "smoke comes before the first share"
            assert world.smoke.looks[looks:] == ["blue None"]
            world.smoke.bad = False
            world.gate.bad = True  # what gates complain of is the reason to go back
            await driver.ask("resume")
            await driver.at(100)
            await driver.until(lambda: driver.switch.watched > 0)
            world.balancer.set_targets("blue", (Target("blue", TargetState.UNHEALTHY),))
            assert await driver.ended() is Condition.HALTED
            assert driver.engine.state.share("blue") == 100, "its health is verified at each step"
            world.balancer.set_targets("blue", (Target("blue", TargetState.HEALTHY),))
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert len(world.gate.looks) == gates, "gates are not asked"

    run(main())
    assert [share for share in world.shares("blue") if share][-2:] == [100, WHOLE]


def test_debts_are_shared_by_every_road_and_survive_a_restart(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver)
            await driver.failback()
            await driver.ended()
        async with world.engine() as driver:
            with pytest.raises(Refused, match="schema:orders, advisory:CVE-2026-1"):
                await driver.deploy("v3")
            ann = Ask(Actor("uid:1000(ann)"), "read", key="k")
            await driver.fleet.owe("web", ann, acknowledge=[])
            await driver.fleet.owe("web", ann, acknowledge=[])
            await driver.fleet.owe("web", OPERATOR, own="schema:orders", owner="bob")
            await driver.fleet.owe("web", OPERATOR, paid="advisory:CVE-2026-1")
            await driver.deploy("v2")
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.notes.debts.open == (), "what was left is live again"

    run(main())


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Unreachable("gone"), "gone"),
        (TimeoutError(), "no answer within 4 s"),
        (KeyError("x"), "a defect of bluegreen itself: KeyError: 'x'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_balancer_that_tells_nothing_of_its_clients_is_unknown_and_keeps_nobody_from_failing_back(
    world: World, error: Exception, why: str
) -> None:
    async def silent(*_: object) -> None:
        raise error

    async def main() -> None:
        async with world.engine() as driver:
            await deployed(driver, "[]")
            world.balancer.clients = silent  # type: ignore[method-assign, assignment]
            plan = await driver.fleet.failback_plan("web")
            [sticky] = [line for line in plan.report.lines if line.id == "sticky:point"]
            assert sticky.verdict is Verdict.UNKNOWN
            assert sticky.text.endswith(why)
            assert plan.lawful

    run(main())
