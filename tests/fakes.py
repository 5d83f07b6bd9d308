"""Named stand-ins for the world around the engine, scripted by the tests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.cards import CardKeeper
from bluegreen.core import events as ev
from bluegreen.core.events import Entry
from bluegreen.core.requests import Ask
from bluegreen.core.state import Switch
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest, BlueGreenError
from bluegreen.fleet import Fleet
from bluegreen.keepers import Keeper
from bluegreen.model import WHOLE, Actor, Condition, Finding, Plan, Weights
from bluegreen.ports import (
    NOT_ENDED,
    Alive,
    Check,
    Deployer,
    DeployOutcome,
    Enough,
    Environment,
    Flags,
    Found,
    Ports,
    Scene,
    Setup,
)
from bluegreen.store.memory import MemoryStore
from bluegreen.warm import WarmKeeper
from tests.virtual import VirtualClock

OPERATOR = Ask(Actor("uid:1000(ann)"), "as the test says")


@dataclass
class Command:
    """A deploy command in virtual time: it goes on, whatever becomes of the engine that started it."""

    ends_at: float
    outcome: DeployOutcome
    gone: bool = False
    """Ended by somebody, or lost with its keeper: it has no result."""


class ScriptedDeployer:
    """Gives the outcomes of its script, then succeeds. `hang`: never ends by itself; `seconds`: how long it takes."""

    def __init__(self) -> None:
        self.script: deque[DeployOutcome] = deque()
        self.deployed: list[str] = []
        self.runs: dict[str, Command] = {}
        self.found: list[str] = []
        self.hang = False
        self.seconds = 1.0
        self.cancelled = 0
        self.left = False
        self.left_over = ""
        """What an end leaves running, in words."""
        self.stuck = 0.0
        """How many seconds an end takes."""

    async def deploy(self, scene: Scene, run: str, alive: Alive) -> DeployOutcome:
        assert run not in self.runs, "one run, one command"
        assert not [one for one in self.runs.values() if not one.gone and one.ends_at > _now()], "never two at once"
        self.deployed.append(f"{scene.version} to {scene.environment}")
        outcome = self.script.popleft() if self.script else DeployOutcome(True, "deployed")
        command = self.runs[run] = Command(_now() + (1e9 if self.hang else self.seconds), outcome)
        return await self._ended(command, alive) or DeployOutcome(False, "lost")

    async def find(self, scene: Scene, run: str, alive: Alive) -> Found:
        self.found.append(run)
        command = self.runs.get(run)
        return Found(await self._ended(command, alive) if command else None, command is not None)

    async def _ended(self, command: Command, alive: Alive) -> DeployOutcome | None:
        try:
            while _now() < command.ends_at and not command.gone:
                alive("process 1 runs")
                await asyncio.sleep(min(1.0, command.ends_at - _now()))
        except asyncio.CancelledError:
            if not self.left:
                command.gone = True
                self.cancelled += 1
                if self.left_over:
                    return DeployOutcome(False, self.left_over, detail=NOT_ENDED)
                if self.stuck:
                    await asyncio.sleep(self.stuck)
            raise
        return None if command.gone else command.outcome

    def leave(self) -> None:
        self.left = True

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        return ()

    async def keep(self, may_touch) -> None: ...

    async def close(self) -> None: ...


def _now() -> float:
    return asyncio.get_running_loop().time()


class ScriptedCheck:
    """Good, unless `bad` is set; raises what `raises` holds."""

    every = 2.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.bad = False
        self.seconds = 0.0
        """How long a look takes."""
        self.raises: Exception | None = None
        self.looks: list[str] = []

    async def look(self, scene: Scene) -> Finding:
        self.looks.append(f"{scene.environment} {scene.version}")
        await asyncio.sleep(self.seconds)
        if self.raises is not None:
            raise self.raises
        return Finding(self.name, ok=not self.bad, summary="bad" if self.bad else "good", acceptable=True)

    async def close(self) -> None: ...


@dataclass
class World:
    """One service over memory balancers in virtual time. It outlives the engines that are started on it."""

    directory: Path
    points: tuple[str, ...] = ("point",)
    environments: tuple[str, ...] = ("blue", "green")
    plan: Plan = field(default_factory=lambda: Plan((), (50, 500, WHOLE), 60.0, 300.0, 3600.0))

    config: str = "{}"
    flags: Flags | None = None
    digest: Check | None = None
    keepers: tuple[Keeper, ...] = ()
    proving: bool = False
    """With the keepers of a daemon."""

    def __post_init__(self) -> None:
        self.plan = replace(self.plan, points=self.points)
        self.store = MemoryStore()
        self.clock = VirtualClock()
        self.deployer = ScriptedDeployer()
        self.smoke, self.gate = ScriptedCheck("orders"), ScriptedCheck("errors")
        self.kept: dict[str, ScriptedCheck] = {}
        """What a guard on record opens, by its name."""
        self.balancers = {
            name: MemoryBalancer(name, self.environments, self.directory / f"{name}.json", None) for name in self.points
        }
        self.published: list[Entry] = []
        self.ids = itertools.count()

    @property
    def balancer(self) -> MemoryBalancer:
        return self.balancers[self.points[0]]

    def setup(self) -> Setup:
        failback = Plan(self.points, (WHOLE,))
        return Setup("web", self.environments, self.plan, failback, self.config, "hash")

    def restore(self, config: str) -> Setup:
        return self.setup()

    def open(self, setup: Setup) -> Ports:
        deployer: Deployer = self.deployer
        return Ports(
            service="web",
            environments=tuple(Environment(name, {"url": f"http://{name}"}) for name in self.environments),
            balancers=dict(self.balancers),
            deployer=deployer,
            smoke=(self.smoke,),
            smoke_unversioned=frozenset({"orders"}),
            gates=(self.gate,),
            guards=(),
            health=Enough(share=1000),
            health_timeout=30.0,
            health_every=1.0,
            failback_health=Enough(share=500),
            open_guard=self.open_guard,
            flags=self.flags,
            digest=self.digest,
        )

    def open_guard(self, check: str) -> Check:
        """What is not in `kept` is of a kind that this program does not know."""
        if (name := json.loads(check)["name"]) not in self.kept:
            raise BlueGreenError(f"{name} is of an unknown kind")
        return self.kept[name]

    def new_engine(self, card: CardKeeper | None = None) -> ServiceEngine:
        """Not started."""
        return ServiceEngine(
            self.setup(), self.store, self.clock, self, self.published.append, lambda: f"{next(self.ids):06}", 15.0,
            card, (*self.keepers, *((WarmKeeper(self.clock).run,) if self.proving else ())),
        )  # fmt: skip

    def driver(self, engine: ServiceEngine) -> Driver:
        return Driver(self, engine, Fleet([engine], self.store, self.clock))

    @contextlib.asynccontextmanager
    async def engine(self, card: CardKeeper | None = None) -> AsyncIterator[Driver]:
        """A process: starts on the journal as it is, runs, and is stopped in order at the end."""
        self.deployer.left = False
        engine = self.new_engine(card)
        await engine.start()
        await engine.take_over()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run())
            try:
                driver = self.driver(engine)
                await driver.until(lambda: engine.state.live is not None)
                yield driver
                await engine.stop()
            except BaseException:
                running.cancel()
                raise

    def shares(self, environment: str) -> list[int]:
        """The environment's share after every write to the first switch point."""
        return [weights.share(environment) for weights in self.balancer.writes]

    def events(self, kind: type[ev.Event]) -> list[Entry]:
        return [entry for entry in self.published if isinstance(entry.event, kind)]


class Driver:
    """What a test does with a running engine."""

    def __init__(self, world: World, engine: ServiceEngine, fleet: Fleet) -> None:
        self.world, self.engine, self.fleet = world, engine, fleet

    @property
    def switch(self) -> Switch:
        assert self.engine.state.switch is not None
        return self.engine.state.switch

    async def until(self, condition, seconds: float = 100_000.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await self.engine.changed(self.engine.state.version)

    async def deploy(self, version: str = "v2", *, replace_warm: bool = False) -> Switch:
        return await self.fleet.deploy("web", version, OPERATOR, replace_warm=replace_warm)

    async def ask(self, verb: str, **more: Any) -> None:
        await self.fleet.ask("web", verb, OPERATOR, **more)

    async def failback(self) -> Switch:
        """With every unsafe line acknowledged, where there are any."""
        try:
            return await self.fleet.failback("web", None, OPERATOR)
        except BadRequest as missing:
            return await self.fleet.failback("web", None, OPERATOR, acknowledge=list(missing.errors), confirm="web")

    async def ended(self) -> Condition:
        """Until the switch is over, or halted."""
        await self.until(lambda: self.switch.condition not in (Condition.RUNNING, Condition.PAUSED))
        return self.switch.condition

    async def at(self, share: int) -> None:
        """Until the candidate has that share on record."""
        await self.until(lambda: self.engine.state.share(self.switch.candidate) >= share)

    async def shown(self) -> Weights:
        return await self.world.balancer.read()
