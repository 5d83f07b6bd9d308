"""The world of one history: balancers, deployer, checks and journal that lie, fail and dawdle as the weather says.

They are the ports of the unmodified engine, in virtual time. What really happens here outlives the daemon: a request
that was sent arrives, whoever dies meanwhile. Everything is told to the laws as it happens.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from bluegreen.cards import CardKeeper
from bluegreen.core.events import Entry, Record
from bluegreen.core.failback_facts import Clients
from bluegreen.core.state import ServiceState
from bluegreen.errors import (
    AccessDenied,
    AppendUnknown,
    CredentialsEnded,
    Drifted,
    NotWritten,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unreachable,
)
from bluegreen.model import WHOLE, Finding, Plan, Target, TargetState, Weights
from bluegreen.ports import Alive, DeployOutcome, Enough, Environment, Found, Ports, Scene, Setup
from bluegreen.store.memory import MemoryStore
from tests.invariants import LawBroken
from tests.simulator.effects import EffectLaws
from tests.simulator.weather import Fault, Weather
from tests.virtual import START, VirtualLoop

ANSWER_SECONDS = 5.0
"""The longest that a call to a balancer takes."""
UNVERSIONED = frozenset({"orders"})
"""Smoke checks that need no version."""


@dataclass(frozen=True)
class Layout:
    """What a history is about."""

    points: tuple[str, ...]
    environments: tuple[str, ...]
    plan: Plan
    failback: Plan
    settle: float
    targets: int


def layout(dice: Random) -> Layout:
    """One to three switch points, two or three environments, any plan."""
    points = ("eu", "us", "ap")[: dice.choice([1, 1, 2, 2, 3])]
    steps = (*sorted(dice.sample([10, 50, 250, 500], dice.randrange(3))), WHOLE)
    again = dice.random() < 0.5
    wait = dice.choice([0.0, 8.0, 20.0, None])
    plan = Plan(points, steps, wait, dice.choice([0.0, 20.0]), dice.choice([0.0, 600.0]), again)
    failback = Plan(points, dice.choice([(WHOLE,), (500, WHOLE)]), dice.choice([0.0, 20.0]), dice.choice([0.0, 20.0]))
    environments = ("blue", "green", "red")[: dice.choice([2, 2, 3])]
    return Layout(points, environments, plan, failback, dice.choice([0.0, 0.0, 3.0]), dice.choice([1, 3]))


class Clock:
    """ports.Clock whose wall time jumps; sleeping is not touched by that."""

    def __init__(self, time: Callable[[], float]) -> None:
        self.jumped, self._time = timedelta(), time

    def now(self) -> datetime:
        return START + self.jumped + timedelta(seconds=self._time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Journal(MemoryStore):
    """A journal whose disk fails at times; the laws read every entry that is durable."""

    def __init__(self, weather: Weather, laws: EffectLaws, dice: Random) -> None:
        super().__init__()
        self._weather, self._laws, self._dice = weather, laws, dice
        self._ballast = True

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        await asyncio.sleep(0.001)
        if self._weather.strikes(Fault.NO_ROOM) and self.trouble is None:
            self._fills_up(self._dice.uniform(60.0, 900.0), ballast=self._dice.random() < 0.7)
        if self.trouble is not None and not self._ballast:
            raise NotWritten("the disk is full: nothing was written", "make room")
        if self._weather.strikes(Fault.DISK_FULL):
            raise NotWritten("the disk is full: nothing was written", "make room")
        if self._weather.strikes(Fault.APPEND_UNKNOWN):
            kept = self._weather.struck[Fault.APPEND_UNKNOWN] % 2 == 0
            if kept:
                await self._durable(service, expected, records)
            raise AppendUnknown("an I/O error", "end the process")
        return await self._durable(service, expected, records)

    def _fills_up(self, seconds: float, *, ballast: bool) -> None:
        """For so long there is no room but the ballast, where that is left."""
        self.trouble = full = Finding("journal", ok=False, summary="the disk is full", advice="make room")
        self._ballast = ballast
        self._laws.room(False)
        asyncio.get_running_loop().call_later(seconds, lambda: self.room() if self.trouble is full else None)

    def room(self) -> None:
        """There is room again, and whoever looks after the journal has seen it."""
        self.trouble = None
        self._laws.room(True)

    async def _durable(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        entries = await super().append(service, expected, records)
        for record in records:
            self._laws.entry(record)
        return entries


class Card(CardKeeper):
    """A card that writes no file: the laws read what each point may show by it, before anything is done."""

    def __init__(self, laws: EffectLaws, clock: Clock) -> None:
        super().__init__(Path("nowhere"), "web", "{}", clock)
        self._laws = laws

    async def keep(self, state: ServiceState, head: Entry) -> None:
        doubt = state.in_doubt
        self._laws.kept(
            {
                name: [point.native, *([doubt[name].expected, doubt[name].target] if name in doubt else [])]
                for name, point in state.points.items()
            }
        )


class Witness:
    """Hands everything on to the laws, and keeps what they say first: the engine may take it for a defect of a port."""

    def __init__(self, laws: EffectLaws) -> None:
        self._laws = laws
        self.broken: LawBroken | None = None

    def __getattr__(self, name: str) -> Any:
        told = getattr(self._laws, name)
        if not callable(told):
            return told

        def tell(*args: Any, **named: Any) -> None:
            try:
                told(*args, **named)
            except LawBroken as law:
                self.broken = self.broken or law
                raise

        return tell


class World:
    """Everything outside of the daemon, and ports.Workshop for it."""

    def __init__(self, seed: int) -> None:
        self.dice, loop = Random(seed), asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop, self.time = loop, loop.time
        self.layout = layout(self.dice)
        self.weather = Weather(self.dice, self.dice.randrange(1, 7))
        self.witness = Witness(
            EffectLaws(frozenset({"orders", "version"}), UNVERSIONED, frozenset({"errors"}), self.time)
        )
        self.laws: EffectLaws = self.witness  # type: ignore[assignment] # everything is told to the laws through it
        self.acknowledged: set[str] = set()
        self.clock, self.journal = Clock(self.time), Journal(self.weather, self.laws, self.dice)
        self.card = Card(self.laws, self.clock)
        self.ids = itertools.count()
        self.ill: dict[str, int] = {}
        """How many of an environment's targets are ill, at every switch point."""
        self.denied_until = 0.0
        self.stopping = False
        """A process is ending in good order at this moment."""
        self.balancers = {name: Balancer(name, self) for name in self.layout.points}
        self.checks = {name: Check(name, self) for name in ("orders", "version", "errors")}
        self.commands: dict[str, Command] = {}
        self.paused: str | None = None
        """The switch that was paused when its process was ended, to see whether it stays so; empty: that was seen."""
        self.history: list[str] = []
        """Every effect in its order: with the journal, what two runs of one seed must have in common."""

    def setup(self) -> Setup:
        one = self.layout
        return Setup("web", one.environments, one.plan, one.failback, "{}", "hash")

    def restore(self, config: str) -> Setup:
        return self.setup()

    def open(self, setup: Setup) -> Ports:
        return Ports(
            service="web",
            environments=tuple(Environment(name, {}) for name in self.layout.environments),
            balancers=dict(self.balancers),
            deployer=Deployer(self),
            smoke=(self.checks["orders"], self.checks["version"]),
            smoke_unversioned=UNVERSIONED,
            gates=(self.checks["errors"],),
            guards=(),
            health=Enough(share=1000),
            health_timeout=30.0,
            health_every=1.0,
            failback_health=Enough(share=500),
        )

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.dice.uniform(0.001, most))

    def tell(self, what: str) -> None:
        self.history.append(f"{self.time():.3f} {what}")

    def told_to_carry(self, environment: str) -> bool:
        """Whether a balancer has told the daemon, a moment ago or earlier, that the environment has traffic."""
        told = [one.told for one in self.balancers.values() if one.told is not None]
        return any(weights.share(environment) for weights, at in told if at < self.time() - 0.5)

    def command_ends(self, command: Command) -> None:
        """A deploy command ended, or was ended."""
        if not command.done:
            command.done = True
            ok = command.outcome is not None and command.outcome.ok
            self.laws.deploy_ends(command.scene.environment, command.scene.version, ok)

    def storm_over(self) -> None:
        """Nothing strikes any more, and what was ill is well; what another hand changed stays changed."""
        self.weather.over = True
        self.ill.clear()
        self.denied_until = 0.0
        self.journal.room()
        for balancer in self.balancers.values():
            balancer.away_until = 0.0


class Balancer:
    """ports.Balancer. `truth` is what users get; reads may lag behind it by `settle`."""

    kind = "simulated"

    def __init__(self, point: str, world: World) -> None:
        self.point, self._world = point, world
        self.settle = world.layout.settle
        self.truth = Weights.of({name: WHOLE * (name == "blue") for name in world.layout.environments})
        self._before, self._changed_at = self.truth, -1e9
        self.away_until = 0.0
        self.told: tuple[Weights, float] | None = None

    def native(self, split: Weights) -> Weights:
        return Weights.of({name: split.get(name, 0) for name in self._world.layout.environments})

    async def read(self) -> Weights:
        try:
            await self._reachable()
        finally:
            self._world.laws.looked(self.point)
        shown = self._shown()
        self.told = (shown, self._world.time())
        self._world.laws.read(self.point, shown)
        return shown

    def _shown(self) -> Weights:
        lags = self._world.time() < self._changed_at + self.settle * 0.9
        return self._before if lags and self._world.weather.strikes(Fault.READ_LAG) else self.truth

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        await self._reachable()
        count, found = self._world.layout.targets, {}
        for name in self._world.layout.environments:
            flap = self._world.dice.randint(1, count) if self._world.weather.strikes(Fault.FLAP) else 0
            bad = max(self._world.ill.get(name, 0), flap)
            states = [TargetState.UNHEALTHY if n < bad else TargetState.HEALTHY for n in range(count)]
            found[name] = tuple(Target(f"{name}-{n}", state) for n, state in enumerate(states))
        well = {name: sum(t.state is TargetState.HEALTHY for t in targets) / count for name, targets in found.items()}
        self._world.laws.health(self.point, well)
        return found

    async def write(self, expected: Weights, target: Weights) -> None:
        world = self._world
        world.laws.asked(self.point, expected, target)
        await self._reachable()
        if world.weather.strikes(Fault.REJECTED):
            raise Rejected(f"{self.point} refuses", "look at it")
        shown = self._shown()
        if not shown.same_split(expected):
            raise Drifted(f"{self.point} shows {shown}", expected, shown)
        world.laws.reached(self.point)
        if world.weather.strikes(Fault.REQUEST_LOST):
            await asyncio.sleep(ANSWER_SECONDS)
            raise OutcomeUnknown(f"{self.point}: no answer")
        if world.weather.strikes(Fault.CREDENTIALS):  # they end while it is under way
            world.denied_until = world.time() + world.dice.uniform(5.0, 120.0)
            if world.dice.random() < 0.5:
                asyncio.get_running_loop().call_later(world.dice.uniform(0.001, 0.3), self._arrives, expected, target)
            raise CredentialsEnded(f"{self.point}: ExpiredToken", "renew the credentials")
        late = world.weather.strikes(Fault.REQUEST_LATE)
        delay = world.dice.uniform(ANSWER_SECONDS, 20.0) if late else world.dice.uniform(0.001, 0.3)
        asyncio.get_running_loop().call_later(delay, self._arrives, expected, target)
        if late or world.weather.strikes(Fault.ANSWER_LOST):
            await asyncio.sleep(ANSWER_SECONDS)
            raise OutcomeUnknown(f"{self.point}: no answer")
        slow = 3.0 if world.weather.strikes(Fault.ANSWER_LATE) else 0.01
        await asyncio.sleep(delay + slow)

    def _arrives(self, expected: Weights, target: Weights) -> None:
        """The request takes effect; without a compare-and-set at the balancer, on whatever is there."""
        self._world.laws.written(self.point, expected, target)
        self._become(target)
        self._world.tell(f"{self.point} shows {target}")

    def meddle(self, weights: Weights) -> None:
        """Another hand changes it."""
        self._become(weights)
        self._world.tell(f"{self.point} is made to show {weights}")

    def _become(self, weights: Weights) -> None:
        self._before, self._changed_at, self.truth = self.truth, self._world.time(), weights

    async def trace(self, since: datetime) -> None: ...

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        await self._reachable()
        return Clients(sticky=False)

    async def served(self) -> None:
        await self._reachable()

    async def examine(self) -> tuple[Finding, ...]:
        try:
            await self._reachable()
        except (Unreachable, Throttled, AccessDenied) as error:
            return (Finding(f"{self.point}: reachable", ok=False, summary=error.what),)
        return (Finding(f"{self.point}: reachable", ok=True, summary="answers"),)

    async def close(self) -> None: ...

    async def _reachable(self) -> None:
        world, weather = self._world, self._world.weather
        await world.pause(0.05)
        if weather.strikes(Fault.DRIVER_RAISES):
            raise KeyError("a defect in the driver")
        if weather.strikes(Fault.AWAY):
            self.away_until = max(self.away_until, world.time() + world.dice.uniform(1.0, 120.0))
        if weather.strikes(Fault.CREDENTIALS):
            world.denied_until = world.time() + world.dice.uniform(5.0, 120.0)
        if world.time() < self.away_until or weather.strikes(Fault.UNREACHABLE):
            raise Unreachable(f"{self.point}: no connection")
        if world.time() < world.denied_until:
            raise AccessDenied(f"{self.point}: ExpiredToken", "renew the credentials")
        if weather.strikes(Fault.THROTTLED):
            raise Throttled(f"{self.point}: too many requests")


@dataclass
class Command:
    """A deploy command. It outlives the daemon; `done`: it ended, by itself or by somebody."""

    scene: Scene
    ends_at: float
    outcome: DeployOutcome | None
    """None: ended before it was done, or lost with its keeper."""
    done: bool = False


class Deployer:
    """ports.Deployer of one process: a command that takes its time, and goes on where it is left."""

    def __init__(self, world: World) -> None:
        self._world, self._left = world, False

    async def deploy(self, scene: Scene, run: str, alive: Alive) -> DeployOutcome:
        world = self._world
        world.laws.deploy_begins(scene.environment, scene.version, world.told_to_carry(scene.environment))
        world.tell(f"{scene.version} is deployed to {scene.environment}")
        takes = world.dice.uniform(0.001, 3.0)
        outcome: DeployOutcome | None = DeployOutcome(True, "deployed")
        if world.weather.strikes(Fault.DEPLOY_HANGS):
            takes, outcome = takes + 30.0, DeployOutcome(False, "time-out")
        elif world.weather.strikes(Fault.DEPLOY_FAILS):
            outcome = DeployOutcome(False, "ended with 3")
        elif world.weather.strikes(Fault.DEPLOY_LOST):
            outcome = None
        world.laws.runs(run, known=run in world.commands)
        command = world.commands[run] = Command(scene, world.time() + takes, outcome)
        asyncio.get_running_loop().call_later(takes, world.command_ends, command)
        return await self._ended(command) or DeployOutcome(False, "lost")

    async def find(self, scene: Scene, run: str, alive: Alive) -> Found:
        command = self._world.commands.get(run)
        if command is None:
            return Found(None, started=False)
        if self._world.weather.strikes(Fault.DEPLOY_LOST):
            command.outcome = None
            self._world.command_ends(command)
        return Found(await self._ended(command), started=True)

    async def _ended(self, command: Command) -> DeployOutcome | None:
        try:
            while not command.done:  # noqa: ASYNC110 - the world ends it, by its own time
                await asyncio.sleep(max(command.ends_at - self._world.time(), 0.001))
        except asyncio.CancelledError:
            if not self._left and not command.done:
                command.outcome = None
                self._world.command_ends(command)
            raise
        return command.outcome

    def leave(self) -> None:
        self._left = True

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        return ()

    async def keep(self, may_touch: Callable[[str], bool]) -> None: ...

    async def close(self) -> None: ...


class Check:
    """ports.Check: good, unless the weather or the environment's health says otherwise."""

    every = 2.0

    def __init__(self, name: str, world: World) -> None:
        self.name, self._world = name, world

    async def look(self, scene: Scene) -> Finding:
        world, weather = self._world, self._world.weather
        await world.pause(5.0 if weather.strikes(Fault.SLOW_CHECK) else 0.2)
        if weather.strikes(Fault.CHECK_RAISES):
            raise ValueError("a defect in the check")
        hangs = weather.strikes(Fault.HANGING_CHECK)
        if hangs:
            await asyncio.sleep(60.0)
        bad = weather.strikes(Fault.GATE_BAD if self.name == "errors" else Fault.SMOKE_BAD)
        ok = not (bad or hangs)
        world.laws.checked(self.name, scene.environment, scene.version, ok)
        return Finding(self.name, ok=ok, summary="good" if ok else "bad", acceptable=True)

    async def close(self) -> None: ...
