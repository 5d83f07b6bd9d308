"""What every balancer keeps to, whatever its kind: one suite over all of them."""

import asyncio

import pytest

from bluegreen.core import events as ev
from bluegreen.core.phases import as_split
from bluegreen.core.state import Point, ServiceState
from bluegreen.core.steps import Restore
from bluegreen.errors import Drifted, Rejected, Unreachable
from bluegreen.model import WHOLE, TargetState, Weights
from bluegreen.ports import Enough, Environment, Ports
from bluegreen.steps import restore
from tests.balancers.conftest import Rig
from tests.fakes import ScriptedDeployer

pytestmark = pytest.mark.slow

TOLERANCE = 1
"""How far a native split may be from the one asked for, in tenths of a percent."""


def split(green: int) -> Weights:
    return Weights.of({"blue": WHOLE - green, "green": green})


async def test_a_read_gives_every_environment(rig: Rig) -> None:
    shown = await rig.balancer.read()
    assert set(shown) == {"blue", "green"}
    assert shown.same_split(split(0))


async def test_native_numbers_keep_the_shares_and_lose_no_environment(rig: Rig) -> None:
    for green in (0, 10, 50, 55, 250, 333, 500, 667, 990, WHOLE):
        native = rig.balancer.native(split(green))
        assert set(native) == {"blue", "green"}
        assert abs(native.share("green") - green) <= TOLERANCE
        assert [native[name] > 0 for name in ("blue", "green")] == [green < WHOLE, green > 0]


async def test_what_was_written_is_what_is_read_and_what_is_there(rig: Rig) -> None:
    shown = await rig.balancer.read()
    for green in (50, 333, WHOLE, 500, 0):
        target = rig.balancer.native(split(green))
        await rig.balancer.write(shown, target)
        shown = await rig.balancer.read()
        assert shown.same_split(target)
        assert (await rig.look()).same_split(target)


async def test_another_hand_is_seen_by_the_next_read(rig: Rig) -> None:
    await rig.balancer.read()
    await rig.change_behind({"blue": 70, "green": 30})
    assert (await rig.balancer.read()).same_split(split(300))


@pytest.mark.parametrize("shown", [{"blue": 70, "green": 30}, {"blue": 0, "green": 100}, {"blue": 0, "green": 0}])
async def test_what_another_hand_changed_is_put_back_by_one_write(rig: Rig, shown: dict[str, int]) -> None:
    native = await rig.balancer.read()
    environments = (Environment("blue", {}), Environment("green", {}))
    ports = Ports(
        "web", environments, {"edge": rig.balancer}, ScriptedDeployer(), (), frozenset(), (), (), Enough(), 1.0, 1.0,
        Enough(),
    )  # fmt: skip
    await rig.change_behind(shown)
    step = Restore("edge", Weights.of(shown), native)
    state = ServiceState("web", points={"edge": Point(native, as_split(native))})
    outcome = await restore.run(step, restore.intent(step, state, ports).target, ports)
    assert isinstance(outcome, ev.Restored), outcome
    assert (await rig.look()).same_split(split(0))


async def test_a_write_on_a_drifted_balancer_changes_nothing(rig: Rig) -> None:
    before = await rig.balancer.read()
    await rig.change_behind({"blue": 70, "green": 30})
    there = await rig.look()
    with pytest.raises(Drifted) as drift:
        await rig.balancer.write(before, rig.balancer.native(split(WHOLE)))
    assert await rig.look() == there
    assert Weights.of(drift.value.expected).same_split(before)
    assert Weights.of(drift.value.seen).same_split(split(300))


async def test_writing_what_is_already_there_is_harmless(rig: Rig) -> None:
    there = rig.balancer.native(split(0))
    await rig.balancer.write(there, there)
    await rig.balancer.write(await rig.balancer.read(), there)
    assert (await rig.balancer.read()).same_split(there)


async def test_a_split_that_gives_nobody_traffic_is_refused(rig: Rig) -> None:
    there = await rig.look()
    nobody = Weights.of({"blue": 0, "green": 0})
    with pytest.raises(Rejected):
        rig.balancer.native(nobody)
    with pytest.raises(Rejected):
        await rig.balancer.write(await rig.balancer.read(), nobody)
    assert await rig.look() == there


async def test_at_no_instant_does_nobody_have_traffic(rig: Rig) -> None:
    seen: list[Weights] = []
    over = asyncio.Event()

    async def sample() -> None:
        while not over.is_set():
            seen.append(await rig.look())
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(sample())
        shown = await rig.balancer.read()
        for green in (WHOLE, 0) * 2:
            target = rig.balancer.native(split(green))
            await rig.balancer.write(shown, target)
            shown = target
            seen.append(await rig.look())
        over.set()
    assert min(weights.total for weights in seen) > 0


async def test_targets_name_every_environment_and_are_told_apart(rig: Rig) -> None:
    found = await rig.balancer.targets()
    assert set(found) == {"blue", "green"}
    ids = [target.id for targets in found.values() for target in targets]
    assert len(ids) == len(set(ids)) >= 2
    assert all(isinstance(target.state, TargetState) for targets in found.values() for target in targets)


async def test_a_good_balancer_has_no_fault_and_each_finding_a_name_of_its_own(rig: Rig) -> None:
    findings = await rig.balancer.examine()
    assert [finding for finding in findings if not finding.ok] == []
    names = [finding.check for finding in findings]
    assert len(names) == len(set(names)) >= 1
    assert all(name.startswith(f"{rig.balancer.point}: ") for name in names)


async def test_a_balancer_that_cannot_be_reached_says_so_and_examining_it_raises_nothing(rig: Rig) -> None:
    before = await rig.balancer.read()
    await rig.break_()
    with pytest.raises(Unreachable):
        await rig.balancer.read()
    with pytest.raises(Unreachable):
        await rig.balancer.write(before, rig.balancer.native(split(WHOLE)))
    findings = await rig.balancer.examine()
    assert any(not finding.ok for finding in findings)
    assert all(finding.summary for finding in findings)


async def test_closing_twice_is_closing_once(rig: Rig) -> None:
    await rig.balancer.read()
    await rig.balancer.close()
    await rig.balancer.close()
    assert rig.balancer.point == "edge"
