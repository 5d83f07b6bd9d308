"""What steps share: a read that may lag, a bug in a hand, and signs of life that change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState
from bluegreen.errors import Rejected, Unreachable
from bluegreen.life import beating
from bluegreen.model import Weights
from bluegreen.ports import Ports
from bluegreen.steps import looks
from tests.builders import SHIFTING, state_after
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
