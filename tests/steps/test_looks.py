"""What steps share: a read that may lag, a bug in a hand, and signs of life that change nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.notes.lessons import GuardAdded
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.core.steps import Restore, SetWeights
from bluegreen.errors import Drifted, Rejected, Unreachable
from bluegreen.life import beating
from bluegreen.model import Cause, Finding, Target, TargetState, Weights
from bluegreen.ports import Ports
from bluegreen.steps import deploy, guards, looks, preflight, restore, shift
from tests.builders import OPERATOR, SHIFTING, intent, record, state_after, the_switch
from tests.fakes import World
from tests.virtual import run

BLUE, GREEN = Weights.of({"blue": 1000, "green": 0}), Weights.of({"blue": 0, "green": 1000})


class Lagging(MemoryBalancer):
    """Shows each change one read too late, and says so; `vain` writes are acknowledged and not made."""

    settle = 5.0
    vain = False

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self._late: Weights | None = None

    async def read(self) -> Weights:
        shown = await super().read()
        late, self._late = self._late, None
        return late or shown

    async def write(self, expected: Weights, target: Weights) -> None:
        if self.vain:
            return
        before = await super().read()
        await super().write(expected, target)
        self._late = before


def lagging(directory: Path) -> tuple[World, Lagging]:
    world = World(directory)
    balancer = Lagging("point", world.environments, directory / "point.json", None)
    world.balancers = {"point": balancer}
    return world, balancer


def test_a_look_that_may_be_late_is_taken_again_before_it_is_called_drift(tmp_path: Path) -> None:
    world, balancer = lagging(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await balancer.write(BLUE, GREEN)
            state = driver.engine.state
            balancer.set_weights({"blue": 1000, "green": 0})
            balancer._late = GREEN
            findings = await looks.weights(driver.engine.ports(), state)
            assert looks.all_ok(findings), findings

    run(main())


def test_an_acknowledged_write_that_the_balancer_does_not_show_is_unknown(tmp_path: Path) -> None:
    world, balancer = lagging(tmp_path)
    balancer.vain = True

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
        lost = [one.event.reason for one in world.published if isinstance(one.event, ev.OutcomeLost)]
        assert lost
        assert all("still shows the old weights" in reason for reason in lost)

    run(main())


def test_a_bug_in_a_hand_without_a_switch_is_raised_and_with_one_is_a_halt() -> None:
    with pytest.raises(KeyError):
        looks.defect(KeyError("no"), ServiceState("web"))
    assert isinstance(looks.defect(KeyError("no"), state_after(SHIFTING)), ev.Halted)


def test_signs_of_life_are_told_and_nothing_is_changed(tmp_path: Path) -> None:
    world = World(tmp_path)
    told: list[str] = []
    ports: Ports = beating(world.open(world.setup()), lambda what, *_: told.append(what))
    plain = world.balancers["point"]

    async def main() -> None:
        balancer = ports.balancers["point"]
        assert balancer.native(BLUE) == plain.native(BLUE)
        assert await balancer.trace(datetime(2026, 1, 1, tzinfo=UTC)) is None
        plain.faults.append(Fault("read", Unreachable("no answer")))
        with pytest.raises(Unreachable):
            await balancer.read()
        with pytest.raises(Rejected):
            balancer.native(Weights.of({"nobody": 1}))
        await ports.close()

    run(main())
    assert told == ["point cannot be read: no answer"]


# --- what is not there, or not as it was ---


def test_a_bug_in_a_hand_that_writes_leaves_the_write_unknown() -> None:
    state = state_after(SHIFTING)
    writing = apply(state, record(intent(state, "lb", 50)))
    found = looks.defect(KeyError("no"), writing)
    assert found == ev.OutcomeLost("lb", "a defect of bluegreen itself: KeyError: 'no'")


@pytest.mark.parametrize(
    ("trouble", "cause"), [(Unreachable("gone"), Cause.BALANCER_UNREACHABLE), (None, Cause.DRIFT)], ids=str
)
def test_nothing_is_deployed_where_the_weights_are_not_those_on_record(
    tmp_path: Path, trouble: Unreachable | None, cause: Cause
) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            switch = await driver.deploy()
            if trouble is None:
                world.balancer.set_weights({"blue": 1, "green": 1})
            else:
                world.balancer.faults.extend([Fault("read", trouble)] * 100)
            found = await deploy.ready(switch, driver.engine.state, driver.engine.ports())
            assert found is not None
            assert found.cause is cause
            world.balancer.faults.clear()

    run(main())


def test_an_acknowledged_write_that_shows_something_else_is_drift_and_one_that_cannot_be_read_is_unknown(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    switch = the_switch(state_after(SHIFTING))
    step = SetWeights("point", BLUE, Weights.of({"blue": 950, "green": 50}))

    class Crossed(MemoryBalancer):
        """Somebody else writes right after us."""

        async def write(self, expected: Weights, target: Weights) -> None:
            await super().write(expected, target)
            self.set_weights({"blue": 1, "green": 1})

    async def main() -> None:
        balancer = world.balancers["point"] = Crossed("point", world.environments, tmp_path / "crossed", None)
        ports = world.open(world.setup())
        found = await shift.run(step, step.split, switch, state_after(SHIFTING), ports, world.clock, lambda: True)
        assert isinstance(found, ev.Halted)
        assert found.cause is Cause.DRIFT
        balancer.set_weights(dict(BLUE))
        balancer.faults.extend([Fault("read", Unreachable("gone"))] * 100)
        lost = await shift.run(step, step.split, switch, state_after(SHIFTING), ports, world.clock, lambda: True)
        assert isinstance(lost, ev.OutcomeLost)
        assert "acknowledged, but it cannot be read back" in lost.reason

    run(main())


def test_a_balancer_whose_reads_may_lag_is_asked_once_more_before_its_refusal_is_called_drift(tmp_path: Path) -> None:
    world, balancer = lagging(tmp_path)
    switch = the_switch(state_after(SHIFTING))
    step = SetWeights("point", BLUE, Weights.of({"blue": 950, "green": 50}))
    balancer.faults.append(Fault("write", Drifted("it shows green", dict(BLUE), dict(GREEN))))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await shift.run(
            step, step.split, switch, state_after(SHIFTING), world.open(world.setup()), world.clock, lambda: True
        )
        assert loop.time() >= balancer.settle
        assert len(balancer.writes) == 1
        assert isinstance(found, ev.OutcomeLost), "its reads lag: what it shows is the old split"

    run(main())


@pytest.mark.parametrize("settle", [0.0, 5.0], ids=["at once", "its reads may lag"])
def test_a_write_that_finds_another_hands_weights_is_drift_and_overwrites_nothing(
    tmp_path: Path, settle: float
) -> None:
    world = World(tmp_path)
    switch = the_switch(state_after(SHIFTING))
    step = SetWeights("point", BLUE, Weights.of({"blue": 950, "green": 50}))
    world.balancer.settle = settle
    world.balancer.set_weights({"blue": 700, "green": 300})

    async def main() -> None:
        found = await shift.run(
            step, step.split, switch, state_after(SHIFTING), world.open(world.setup()), world.clock, lambda: True
        )
        assert isinstance(found, ev.Halted)
        assert (found.cause, found.closes_step) == (Cause.DRIFT, True)
        assert "it shows blue 70% green 30%, expected was blue 100% green 0%" in found.summary
        assert world.balancer.writes == []
        assert (await world.balancer.read()).share("green") == 300
        assert asyncio.get_running_loop().time() == settle, "once more where its own last write may not show yet"

    run(main())


@pytest.mark.parametrize("stopped", [False, True], ids=["goes on", "a person stops the line"])
def test_a_write_that_had_no_effect_is_tried_again_only_on_new_looks(tmp_path: Path, stopped: bool) -> None:
    world = World(tmp_path)
    switch = the_switch(state_after(SHIFTING))
    step = SetWeights("point", BLUE, Weights.of({"blue": 950, "green": 50}))
    words = iter([True, not stopped, not stopped])
    world.balancer.faults.append(Fault("write", Unreachable("no way")))
    world.balancer.set_targets("green", (Target("green", TargetState.UNHEALTHY),))

    async def main() -> None:
        found = await shift.run(
            step, step.split, switch, state_after(SHIFTING), world.open(world.setup()), world.clock, lambda: next(words)
        )
        assert world.balancer.writes == []
        if stopped:
            assert isinstance(found, ev.WeightsUnchanged)
        else:
            assert isinstance(found, ev.Halted)
            assert (found.cause, found.closes_step) == (Cause.UNHEALTHY, True)

    run(main())


def test_a_balancer_that_cannot_be_examined_or_asked_is_said(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        ports = beating(world.open(world.setup()), lambda *_: None)
        balancer = ports.balancers["point"]
        assert await balancer.served() is None
        assert (await balancer.clients(None, world.clock.now())).sticky is not None
        world.balancer.examine = Raising(Unreachable("gone"))  # type: ignore[method-assign]
        [found] = await preflight.balancers(ports)
        assert (found.check, found.ok, found.summary) == ("point: reachable", False, "gone")

    run(main())


class Raising:
    """A call that raises what it was given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, *_: object) -> tuple[Finding, ...]:
        raise self._error


def test_a_restore_of_a_point_that_left_the_configuration_keeps_the_numbers_on_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    state = state_after("drift:300")
    found = restore.intent(Restore("lb", GREEN, BLUE), state, world.open(world.setup()))
    assert found == ev.RestoreStarted("lb", GREEN, BLUE)


def test_a_check_of_the_file_goes_before_a_guard_on_record_of_its_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    state = apply(state_after(""), record(GuardAdded("orders", "tcp", '{"name": "orders"}'), by=OPERATOR, reason="x"))

    async def main() -> None:
        ports = world.open(world.setup())
        assert await guards.look(state, ports, ports.scene("green", "v2", None), ()) == ()

    run(main())


async def test_what_has_traffic_is_not_idle(tmp_path: Path) -> None:
    world = World(tmp_path)
    found = await preflight.idle("blue", state_after(""), world.open(world.setup()))
    assert (found.ok, found.summary) == (False, "blue has 100% of the traffic")
