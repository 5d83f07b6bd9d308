"""One history: a daemon that is killed and started again while everything goes wrong, then calm, then a look at it.

`simulate(seed)` gives what happened, or raises LawBroken. The engine, its steps and its core are the product's own,
unmodified; the failpoints around them are those of the real processes' tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bluegreen.core import events as ev
from bluegreen.core.phases import fold
from bluegreen.core.state import ServiceState, Switch
from bluegreen.engine import ServiceEngine
from bluegreen.errors import StoreError
from bluegreen.fleet import Fleet
from bluegreen.model import Condition, Kind
from bluegreen.warm import WarmKeeper
from tests.faults.points import PointedStore, PointedWorkshop
from tests.invariants import DAEMON, Law, LawBroken, broken
from tests.simulator import needless
from tests.simulator.effects import FRESH_SECONDS, TOLD_SECONDS
from tests.simulator.people import OtherHands, People
from tests.simulator.weather import Fault
from tests.simulator.world import World
from tests.virtual import VirtualLoop

OBSERVE_EVERY = 15.0
LIVES_MAX = 200
HOLD_SECONDS, NIGHT_SECONDS = 120.0, 7200.0
"""A halt is held for as long as that with every look taken, and through a night in which the host slept."""
UNREAD_SECONDS = 180.0
"""Within this an open switch halts whose balancer cannot be read: two minutes, and the looks that find it so."""
ROUNDS_MAX = 12
PATIENCE_SECONDS = 7200.0
"""How long after the storm a switch may take to come to its end, to a halt, or to a wait for a person."""


class Crash(BaseException):
    """The process is gone: nothing that comes after happens."""


class Stopped(Exception):
    """The process was told to end, and has."""


@dataclass
class Result:
    """What one history came to."""

    seed: int
    struck: Counter[Fault]
    crashed_at: Counter[str]
    lives: int
    switches: int
    halts: Counter[str]
    needless: list[str]
    digest: str
    entries: int


@dataclass
class Life:
    """One process. Once it is dead nothing of it reaches the world any more."""

    world: World
    dead: bool = False
    crashed_at: Counter[str] = field(default_factory=Counter)

    async def reached(self, name: str) -> None:
        """See tests.faults.points.Reached."""
        if self.dead:
            raise Crash
        if self.world.weather.strikes(Fault.CRASH):
            self.dead = True
            self.crashed_at[name] += 1
            raise Crash


def simulate(seed: int, shown: Callable[[World], None] = lambda _: None) -> Result:
    """Play one history in virtual time. Raises LawBroken. `shown` is given the world before it begins."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_history(seed, shown))


async def _history(seed: int, shown: Callable[[World], None]) -> Result:
    world, lives, crashed_at = World(seed), 0, Counter[str]()
    shown(world)
    over = world.dice.uniform(60.0, 300.0)
    while True:
        lives += 1
        if lives > LIVES_MAX:
            broken(Law.ENDS, f"{lives} lives")
        life = Life(world)
        ended = await _live(world, life, over)
        crashed_at += life.crashed_at
        if world.witness.broken is not None:
            raise world.witness.broken
        if ended:
            break
        ended_at = world.time()
        down = world.weather.strikes(Fault.HOST_DOWN) or _at_the_worst(world)
        await asyncio.sleep(world.dice.uniform(600.0, 5400.0) if down else world.dice.uniform(0.1, 20.0))
        over += world.time() - ended_at if down else 0.0
    return await _result(seed, world, lives, crashed_at)


def _at_the_worst(world: World) -> bool:
    """A host that goes down takes its time, and as often as not it does so in the middle of a failback."""
    journal = world.laws.journal
    if world.weather.over or journal.kind is not Kind.FAILBACK or journal.halted or world.dice.random() < 0.5:
        return False
    world.weather.note(Fault.HOST_DOWN)
    return True


async def _live(world: World, life: Life, over: float) -> bool:
    """One process; True when it has seen the end of the history."""
    store = PointedStore(world.journal, life.reached)
    engine = ServiceEngine(
        world.setup(), store, world.clock, PointedWorkshop(world, life.reached), lambda _: None,
        lambda: f"{next(world.ids):04}", OBSERVE_EVERY, world.card, (WarmKeeper(world.clock).run,),
    )  # fmt: skip
    fleet, ended = Fleet([engine], store, world.clock), False
    world.laws.begins(world.layout.points)
    try:
        await engine.start()
        await engine.take_over()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run())
            beside = [
                group.create_task(one)
                for one in (
                    People(world, engine, fleet).at_work(),
                    OtherHands(world).at_work(),
                    _restarts(world, engine),
                )
            ]
            await asyncio.sleep(max(over - world.time(), 1.0))
            world.storm_over()
            if world.stopping:
                await beside[-1]  # it raises Stopped: the next life sees the end
            for task in beside:
                task.cancel()
            await _aftermath(world, engine, People(world, engine, fleet))
            ended = True
            await engine.stop()
            await running
    except* (Crash, Stopped, StoreError):
        pass
    life.dead = True
    return ended


async def _restarts(world: World, engine: ServiceEngine) -> None:
    """Orderly ends, now and then."""
    while not world.weather.over:
        await world.pause(60.0)
        if world.weather.strikes(Fault.RESTART):
            before, world.stopping = world.time(), True
            await engine.stop()
            world.stopping = False
            if world.time() - before > 10.0:
                broken(Law.ENDS, f"a stop took {world.time() - before:.1f} s")
            raise Stopped


# --- after the storm ---


async def _aftermath(world: World, engine: ServiceEngine, people: People) -> None:
    """Every switch comes to its end or to a halt that says why; then people can bring it to its end."""
    await _until(world, engine, lambda: not _running(engine.state), PATIENCE_SECONDS)
    await _told(world, engine)
    await _held(world, engine)
    await _still_watched(world, engine)
    await _paused_over_a_restart(world, engine, people)
    await _unread(world, engine, people)
    for number in range(ROUNDS_MAX):
        if engine.state.open_switch is None and not engine.state.drift and not engine.state.unsettled:
            break
        for verb in ("adopt", "approve", "resume" if number < ROUNDS_MAX // 2 else "failback"):
            await people.ask(verb)
        await _until(world, engine, lambda: not _running(engine.state), PATIENCE_SECONDS)
        await asyncio.sleep(OBSERVE_EVERY * 2)
    if engine.state.open_switch is not None:
        broken(Law.ENDS, f"no answer ends it: {engine.state.open_switch.condition} {engine.state.open_switch.halt}")
    records = tuple([entry.record for entry in await world.journal.read("web")])
    if fold("web", records) != engine.state:
        broken(Law.REPLAYED, "the journal adds up to another state than the engine has")
    for name, balancer in world.balancers.items():
        known = engine.state.points.get(name)
        if engine.state.live is not None and (known is None or not known.native.same_split(balancer.truth)):
            broken(Law.COMPARED, f"at the end {name} shows {balancer.truth}, on record is {known and known.native}")


async def _told(world: World, engine: ServiceEngine) -> None:
    """What another hand changed is said within a minute, and is not overwritten."""
    await asyncio.sleep(TOLD_SECONDS)
    state = engine.state
    if state.live is None or _running(state):
        return
    for name, balancer in world.balancers.items():
        if name not in state.points or state.points[name].native.same_split(balancer.truth):
            continue
        if name not in state.drift and name not in state.unsettled:
            broken(Law.DRIFT_SAID, f"{name} shows {balancer.truth}, on record is {state.points[name].native}")


async def _held(world: World, engine: ServiceEngine) -> None:
    """A halt holds, for as long as nobody answers."""
    switch = engine.state.open_switch
    if switch is None or switch.condition is not Condition.HALTED:
        return
    truth = {name: one.truth for name, one in world.balancers.items()}
    await asyncio.sleep(HOLD_SECONDS)
    world.loop.sleeps(NIGHT_SECONDS)
    engine._wake.set()  # whatever wakes the loop: it finds the same
    await asyncio.sleep(HOLD_SECONDS)
    now = engine.state.open_switch
    if now is None or now.condition is not Condition.HALTED or now.id != switch.id:
        broken(Law.HALT_HOLDS, f"{switch.halt and switch.halt.id} ended by itself: {now}")
    if truth != {name: one.truth for name, one in world.balancers.items()}:
        broken(Law.HALT_HOLDS, f"weights moved while {switch.id} was halted")


async def _still_watched(world: World, engine: ServiceEngine) -> None:
    """While a person is awaited, a candidate that has traffic is looked at as before."""
    switch = engine.state.open_switch
    if switch is None or switch.condition is not Condition.PAUSED or not engine.state.share(switch.candidate):
        return
    await asyncio.sleep(HOLD_SECONDS)
    ages = [world.time() - world.laws.proofs.healthy.get(point, -1e9) for point in switch.plan.points]
    if switch.kind is Kind.DEPLOYMENT and not world.laws.gate_checks <= switch.accepted:
        ages.append(world.time() - world.laws.proofs.gates.get("errors", -1e9))
    if max(ages) > FRESH_SECONDS and engine.state.open_switch == switch:
        broken(Law.PROVEN, f"{switch.id} is {switch.condition}, and nobody looks at {switch.candidate}")


async def _paused_over_a_restart(world: World, engine: ServiceEngine, people: People) -> None:
    """A pause is a person's word: no process that starts takes it back."""
    if Fault.RESTART not in world.weather.odds:
        return
    if world.paused is None:
        switch = await _paused(engine, people)
        if switch is not None:
            world.weather.note(Fault.RESTART)
            world.paused = switch.id
            await engine.stop()
            raise Stopped
    elif world.paused:
        now, before = engine.state.open_switch, world.paused
        world.paused = ""
        if now is None or now.id != before or now.condition is Condition.RUNNING:
            broken(Law.PLANNED, f"{before} was paused, and goes on after a restart: {now and now.condition}")


async def _paused(engine: ServiceEngine, people: People) -> Switch | None:
    """The switch that waits for a person; where none is open, one that somebody begins and stops."""
    if engine.state.open_switch is None:
        await people.ask("deploy")
        await people.ask("pause")
    switch = engine.state.open_switch
    return switch if switch is not None and switch.condition is Condition.PAUSED else None


async def _unread(world: World, engine: ServiceEngine, people: People) -> None:
    """A balancer that cannot be read for minutes is unknown, not unchanged: also a switch that only waits halts."""
    if Fault.UNREAD not in world.weather.odds:
        return
    if (switch := await _paused(engine, people)) is None:
        return
    world.weather.note(Fault.UNREAD)
    balancer = world.balancers[world.dice.choice(switch.plan.points)]
    balancer.away_until = world.time() + UNREAD_SECONDS
    await asyncio.sleep(UNREAD_SECONDS)
    if engine.state.open_switch is not None and engine.state.open_switch.condition is not Condition.HALTED:
        broken(
            Law.DRIFT_SAID, f"{balancer.point} is unreadable for {UNREAD_SECONDS:g} s, and {switch.id} does not mind"
        )


def _running(state: ServiceState) -> bool:
    return state.open_switch is not None and state.open_switch.condition is Condition.RUNNING


async def _until(world: World, engine: ServiceEngine, condition, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await engine.changed(engine.state.version)
    except TimeoutError:
        switch = engine.state.open_switch
        broken(
            Law.ENDS, f"still {switch and (switch.phase, switch.condition, switch.open)} after {seconds:g} s of calm"
        )


async def _result(seed: int, world: World, lives: int, crashed_at: Counter[str]) -> Result:
    entries = await world.journal.read("web")
    records = tuple(entry.record for entry in entries)
    known = {record.switch for record in records if isinstance(record.event, ev.Requested)}
    if lost := world.acknowledged - known:
        broken(Law.ACKNOWLEDGED, f"{sorted(lost)} were acknowledged and are not in the journal")
    halts = [record for record in records if isinstance(record.event, ev.Halted) and record.by == DAEMON]
    written = [body.replace(f'"pid":{os.getpid()}', "") for body, _ in world.journal.rows()]
    digest = hashlib.sha256("\n".join([*world.history, *written]).encode()).hexdigest()
    return Result(
        seed, world.weather.struck, crashed_at, lives, len(known),
        Counter(str(one.event.cause) for one in halts),  # type: ignore[attr-defined]
        needless.found(halts, world), digest, len(entries),
    )  # fmt: skip


__all__ = ["LawBroken", "Result", "simulate"]
