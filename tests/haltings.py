"""Every kind of halt, as a history in virtual time that leads to it, and what mends its cause."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from bluegreen.balancers.memory import Fault
from bluegreen.cards import CardKeeper
from bluegreen.engine import ServiceEngine
from bluegreen.errors import AccessDenied, OutcomeUnknown, Throttled, Unreachable
from bluegreen.model import WHOLE, Cause, Condition, Finding, Phase, Plan, Target, TargetState
from bluegreen.ports import DeployOutcome, Ports, Setup
from tests.fakes import Driver, ScriptedCheck, World

TWO, THREE = ("blue", "green"), ("blue", "green", "red")
OBSERVE_SECONDS = 900.0
LOST = OutcomeUnknown("the answer was lost")


class HaltWorld(World):
    """A world with a guard of the service's own, a failback in steps, and looks that are far apart: weeks go by."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.guard = ScriptedCheck("quota")
        self.observe_every = 15.0

    def setup(self) -> Setup:
        return replace(super().setup(), failback=Plan(self.points, (500, WHOLE), 30.0))

    def open(self, setup: Setup) -> Ports:
        return replace(super().open(setup), guards=(self.guard,))

    def new_engine(self, card: CardKeeper | None = None) -> ServiceEngine:
        return ServiceEngine(
            self.setup(), self.store, self.clock, self, self.published.append, lambda: f"{next(self.ids):06}",
            self.observe_every, card,
        )  # fmt: skip

    def mend(self) -> None:
        """Whatever was wrong is no longer."""
        for balancer in self.balancers.values():
            balancer.faults.clear()
            for name in self.environments:
                balancer.set_targets(name, (Target(name, TargetState.HEALTHY, in_flight=0),))
        for check in (self.smoke, self.gate, self.guard):
            check.bad, check.raises = False, None
        self.deployer.script.clear()
        self.deployer.hang = False
        self.store.trouble = None

    def ill(self, environment: str) -> None:
        """What runs there is not healthy, at every switch point."""
        for balancer in self.balancers.values():
            balancer.set_targets(environment, (Target(environment, TargetState.UNHEALTHY, "refused"),))

    def fail(self, operation: str, error: Exception, times: int = 1, *, after: bool = False) -> None:
        """The first switch point's next calls raise."""
        self.balancer.faults.extend([Fault(operation, error, after_effect=after)] * times)  # type: ignore[arg-type]


Story = Callable[[HaltWorld, Driver], Awaitable[None]]


async def no_quota(world: HaltWorld, driver: Driver) -> None:
    world.guard.bad = True
    await driver.deploy()


async def deploy_fails(world: HaltWorld, driver: Driver) -> None:
    world.deployer.script.append(DeployOutcome(False, "ended with 3", "no space left"))
    await driver.deploy()


async def never_healthy(world: HaltWorld, driver: Driver) -> None:
    world.ill("green")
    await driver.deploy()


async def smoke_fails(world: HaltWorld, driver: Driver) -> None:
    world.smoke.bad = True
    await driver.deploy()


async def a_defect(world: HaltWorld, driver: Driver) -> None:
    world.smoke.raises = RuntimeError("a bug")
    await driver.deploy()


async def gate_fails(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(500)
    world.gate.bad = True


async def falls_ill(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(50)
    world.ill("green")


async def first_write_refused(world: HaltWorld, driver: Driver) -> None:
    world.fail("write", AccessDenied("no right", "ask for it"))
    await driver.deploy()


async def later_write_unreachable(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(50)
    world.fail("write", Unreachable("no route"), 100)


async def throttled(world: HaltWorld, driver: Driver) -> None:
    world.fail("write", Throttled("slow down"), 100)
    await driver.deploy()


async def outcome_unknown(world: HaltWorld, driver: Driver) -> None:
    world.fail("write", LOST, after=True)
    world.fail("read", Unreachable("no way"), 1000)
    await driver.deploy()


async def answers_lost(world: HaltWorld, driver: Driver) -> None:
    world.fail("write", LOST, 50)
    await driver.deploy()


async def changed_by_another_hand(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(50)
    for balancer in world.balancers.values():
        balancer.set_weights({"blue": 70, "green": 30})


async def stopped_before_anything(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.ask("halt")


async def stopped_at_half(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(500)
    await driver.ask("halt")


async def stopped_in_the_bake(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.until(lambda: driver.switch.phase is Phase.BAKE)
    await driver.ask("halt")


async def gate_fails_in_the_bake(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.until(lambda: driver.switch.phase is Phase.BAKE)
    world.gate.bad = True


async def disk_full(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    await driver.at(50)
    world.store.trouble = Finding("journal", ok=False, summary="the disk is full", advice="make room")


async def failback_to_an_ill_side(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    assert await driver.ended() is Condition.COMPLETED
    world.ill("blue")
    await driver.failback()


async def failback_refused_half_way(world: HaltWorld, driver: Driver) -> None:
    await driver.deploy()
    assert await driver.ended() is Condition.COMPLETED
    await driver.failback()
    await driver.until(lambda: driver.engine.state.share("blue") >= 500)
    world.fail("write", AccessDenied("no right"))


HALTS: dict[str, tuple[Story, Phase, Cause]] = {
    "no quota": (no_quota, Phase.PREFLIGHT, Cause.PREFLIGHT_FAILED),
    "deploy fails": (deploy_fails, Phase.DEPLOY, Cause.DEPLOY_FAILED),
    "never healthy": (never_healthy, Phase.WAIT_HEALTHY, Cause.UNHEALTHY),
    "smoke fails": (smoke_fails, Phase.SMOKE, Cause.CHECK_FAILED),
    "a defect": (a_defect, Phase.SMOKE, Cause.BUG),
    "gate fails": (gate_fails, Phase.SHIFT, Cause.GATE_FAILED),
    "falls ill": (falls_ill, Phase.SHIFT, Cause.UNHEALTHY),
    "first write refused": (first_write_refused, Phase.SHIFT, Cause.BALANCER_REFUSED),
    "later write unreachable": (later_write_unreachable, Phase.SHIFT, Cause.BALANCER_UNREACHABLE),
    "throttled": (throttled, Phase.SHIFT, Cause.BALANCER_UNREACHABLE),
    "outcome unknown": (outcome_unknown, Phase.SHIFT, Cause.OUTCOME_UNKNOWN),
    "answers lost": (answers_lost, Phase.SHIFT, Cause.OUTCOME_UNKNOWN),
    "changed by another hand": (changed_by_another_hand, Phase.SHIFT, Cause.DRIFT),
    "stopped before anything": (stopped_before_anything, Phase.PREFLIGHT, Cause.OPERATOR),
    "stopped at half": (stopped_at_half, Phase.SHIFT, Cause.OPERATOR),
    "stopped in the bake": (stopped_in_the_bake, Phase.BAKE, Cause.OPERATOR),
    "gate fails in the bake": (gate_fails_in_the_bake, Phase.BAKE, Cause.GATE_FAILED),
    "disk full": (disk_full, Phase.SHIFT, Cause.DISK_FULL),
    "failback to an ill side": (failback_to_an_ill_side, Phase.PREFLIGHT, Cause.PREFLIGHT_FAILED),
    "failback refused half way": (failback_refused_half_way, Phase.SHIFT, Cause.BALANCER_REFUSED),
}
"""Each kind of halt: its story, and the phase and cause that it must end in."""


def world_of(directory: Path, environments: tuple[str, ...] = TWO, points: tuple[str, ...] = ("point",)) -> HaltWorld:
    """A new world in a directory of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    return HaltWorld(directory, points, environments)


@contextlib.asynccontextmanager
async def at_halt(world: HaltWorld, kind: str) -> AsyncIterator[Driver]:
    """A running engine whose switch stands in that kind of halt; what is unknown there was looked up."""
    story, phase, cause = HALTS[kind]
    async with world.engine() as driver:
        await story(world, driver)
        assert await driver.ended() is Condition.HALTED
        await asyncio.sleep(120)
        halt = driver.switch.halt
        assert halt is not None
        assert (driver.switch.phase, halt.cause) == (phase, cause)
        yield driver
