"""Named stand-ins for the world around the engine, scripted by the tests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.cards import CardKeeper
from bluegreen.core import events as ev
from bluegreen.core.events import Entry
from bluegreen.core.requests import Ask
from bluegreen.core.state import Switch
from bluegreen.engine import ServiceEngine
from bluegreen.fleet import Fleet
from bluegreen.model import WHOLE, Actor, Condition, Finding, Plan, Weights
from bluegreen.ports import Deployer, DeployOutcome, Enough, Environment, Ports, Scene, Setup
from bluegreen.store.memory import MemoryStore
from tests.virtual import VirtualClock

OPERATOR = Ask(Actor("uid:1000(ann)"), "as the test says")


class ScriptedDeployer:
    """Gives the outcomes of its script, then succeeds. `hang`: never ends by itself."""

    def __init__(self) -> None:
        self.script: deque[DeployOutcome] = deque()
        self.deployed: list[str] = []
        self.hang = False
        self.cancelled = 0

    async def deploy(self, scene: Scene) -> DeployOutcome:
        self.deployed.append(f"{scene.version} to {scene.environment}")
        try:
            if self.hang:
                await asyncio.Event().wait()
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.script.popleft() if self.script else DeployOutcome(True, "deployed")

    async def examine(self, scene: Scene) -> tuple[Finding, ...]:
        return ()

    async def keep(self, may_touch) -> None: ...

    async def close(self) -> None: ...


class ScriptedCheck:
    """Good, unless `bad` is set; raises what `raises` holds."""

    every = 2.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.bad = False
        self.raises: Exception | None = None
        self.looks: list[str] = []

    async def look(self, scene: Scene) -> Finding:
        self.looks.append(f"{scene.environment} {scene.version}")
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

    def __post_init__(self) -> None:
        self.plan = replace(self.plan, points=self.points)
        self.store = MemoryStore()
        self.clock = VirtualClock()
        self.deployer = ScriptedDeployer()
        self.smoke, self.gate = ScriptedCheck("orders"), ScriptedCheck("errors")
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
        )

    def new_engine(self, card: CardKeeper | None = None) -> ServiceEngine:
        """Not started."""
        return ServiceEngine(
            self.setup(), self.store, self.clock, self, self.published.append, lambda: f"{next(self.ids):06}", 15.0,
            card,
        )  # fmt: skip

    def driver(self, engine: ServiceEngine) -> Driver:
        return Driver(self, engine, Fleet([engine], self.store, self.clock))

    @contextlib.asynccontextmanager
    async def engine(self, card: CardKeeper | None = None) -> AsyncIterator[Driver]:
        """A process: starts on the journal as it is, runs, and is stopped in order at the end."""
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

    async def deploy(self, version: str = "v2") -> Switch:
        return await self.fleet.deploy("web", version, OPERATOR)

    async def ask(self, verb: str, **more: str) -> None:
        await self.fleet.ask("web", verb, OPERATOR, **more)

    async def failback(self) -> Switch:
        return await self.fleet.failback("web", None, OPERATOR)

    async def ended(self) -> Condition:
        """Until the switch is over, or halted."""
        await self.until(lambda: self.switch.condition not in (Condition.RUNNING, Condition.PAUSED))
        return self.switch.condition

    async def at(self, share: int) -> None:
        """Until the candidate has that share on record."""
        await self.until(lambda: self.engine.state.share(self.switch.candidate) >= share)

    async def shown(self) -> Weights:
        return await self.world.balancer.read()
