"""Every instant of a deployment, with a journal, balancers and checks that each take their time: whatever a person asks
for then, the laws hold, nothing is written that nobody wants any more, and the switch comes to its end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.events import Entry, Record
from bluegreen.core.notes.flags import FlagsSeen
from bluegreen.core.phases import fold
from bluegreen.errors import OutcomeUnknown, Refused
from bluegreen.model import WHOLE, Condition, Plan, Weights
from bluegreen.store.memory import MemoryStore
from tests.fakes import Driver, World
from tests.invariants import JournalLaws
from tests.virtual import run

pytestmark = pytest.mark.slow

ENTRY_SECONDS, CALL_SECONDS, WRITE_SECONDS = 1.0, 0.3, 2.5
INSTANTS = [n * 0.45 for n in range(100)]
"""From the request to after the end, at no multiple of what anything takes."""
OTHER = {"blue": 300, "green": 700}


class SlowStore(MemoryStore):
    """An entry takes its time, and breaks no law."""

    def __init__(self) -> None:
        super().__init__()
        self.laws = JournalLaws()

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        await asyncio.sleep(ENTRY_SECONDS)
        entries = await super().append(service, expected, records)
        for record in records:
            self.laws.entry(record)
        return entries


class SlowBalancer(MemoryBalancer):
    """Each call takes its time."""

    async def read(self) -> Weights:
        await asyncio.sleep(CALL_SECONDS)
        return await super().read()

    async def write(self, expected: Weights, target: Weights) -> None:
        await asyncio.sleep(WRITE_SECONDS)
        await super().write(expected, target)


def slow_world(directory: Path) -> World:
    directory.mkdir()
    world = World(directory, plan=Plan((), (500, WHOLE), 2.0, 2.0, 3600.0))
    world.store = SlowStore()
    world.balancers = {"point": SlowBalancer("point", world.environments, directory / "point.json", None)}
    world.smoke.seconds = world.gate.seconds = CALL_SECONDS
    return world


def kinds(world: World) -> list[type[ev.Event]]:
    return [type(entry.event) for entry in world.published]


async def refused_or_done(asked: Awaitable[object]) -> bool:
    try:
        await asked
    except Refused:
        return False
    return True


async def ends(world: World, driver: Driver) -> None:
    """With everything on one side, and the journal, the state and the balancer in accord."""
    assert await driver.ended() is Condition.COMPLETED, driver.switch.halt
    assert (await driver.shown()).same_split(driver.engine.state.points["point"].native)
    assert driver.engine.state.share(driver.switch.candidate) == WHOLE
    entries = await world.store.read("web")
    assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state


def nothing_begun_between(world: World, stop: type[ev.Event], go: type[ev.Event]) -> None:
    """What was under way may come to its end; nothing is begun."""
    found = kinds(world)
    if stop in found:
        between = found[found.index(stop) : found.index(go)]
        assert ev.StepStarted not in between, [kind.__name__ for kind in between]


async def held(world: World, driver: Driver, verb: str, stop: type[ev.Event]) -> None:
    if await refused_or_done(driver.ask(verb)):
        await asyncio.sleep(20)
        await driver.ask("resume")
    await ends(world, driver)
    nothing_begun_between(world, stop, ev.Resumed)
    assert world.shares("green") == [500, 1000]


async def paused(world: World, driver: Driver) -> None:
    await held(world, driver, "pause", ev.Paused)


async def halted(world: World, driver: Driver) -> None:
    await held(world, driver, "halt", ev.Halted)


async def aborted(world: World, driver: Driver) -> None:
    if await refused_or_done(driver.ask("abort")) and driver.switch.condition is Condition.ABORTED:
        await asyncio.sleep(20)
        assert world.shares("green") == []
        assert all(command.gone or command.ends_at < 1e6 for command in world.deployer.runs.values())
        await driver.deploy("v3")
    await ends(world, driver)


async def failed_back(world: World, driver: Driver) -> None:
    back = await refused_or_done(driver.failback())
    await ends(world, driver)
    assert driver.engine.state.live == ("blue" if back else "green")


async def stopped_and_failed_back(world: World, driver: Driver) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(refused_or_done(driver.ask("halt")))
        back = group.create_task(refused_or_done(driver.failback()))
    if driver.switch.condition is Condition.HALTED:
        await driver.ask("resume")
    await ends(world, driver)
    assert driver.engine.state.live == ("blue" if back.result() else "green")


async def drifted(world: World, driver: Driver) -> None:
    """Another hand changes the balancer."""
    world.balancer.set_weights(OTHER)
    await driver.until(lambda: driver.engine.state.drift)
    await asyncio.sleep(3)


async def restored(world: World, driver: Driver) -> None:
    await drifted(world, driver)
    await driver.ask("restore")
    await driver.until(lambda: not driver.engine.state.drift and not driver.engine.state.restore)
    if driver.switch.condition is Condition.HALTED:
        await driver.ask("resume")
    await ends(world, driver)


STORIES = [paused, halted, aborted, failed_back, stopped_and_failed_back, restored]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_whatever_is_asked_for_at_any_instant_is_done_or_refused_and_breaks_nothing(
    tmp_path: Path, story: Callable[[World, Driver], Awaitable[None]]
) -> None:
    async def main(world: World, instant: float) -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await asyncio.sleep(instant)
            await story(world, driver)

    for instant in INSTANTS:
        run(main(slow_world(tmp_path / f"{instant:g}"), instant))


async def noting(driver: Driver) -> None:
    """Others have much to put on record: who wants the journal waits in line."""
    for number in itertools.count():
        flags = {"search": str(number)}
        await driver.engine.note(lambda _, flags=flags: [FlagsSeen("now", flags)])  # type: ignore[misc]


@pytest.mark.parametrize("others", [0, 2], ids=["alone", "others write too"])
def test_a_stop_at_any_instant_is_gone_on_from(tmp_path: Path, others: int) -> None:
    async def main(world: World, instant: float) -> None:
        async with world.engine() as driver, asyncio.TaskGroup() as group:
            await driver.deploy()
            notes = [group.create_task(noting(driver)) for _ in range(others)]
            await asyncio.sleep(instant)
            await driver.engine.stop()
            for note in notes:
                note.cancel()
        async with world.engine() as driver:
            await ends(world, driver)

    for instant in INSTANTS:
        world = slow_world(tmp_path / f"{instant:g}")
        run(main(world, instant))
        assert world.shares("green") == [500, 1000]
        assert world.deployer.deployed == ["v2 to green"]


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "lost"])
@pytest.mark.parametrize("verbs", [("release",), ("adopt",), ("adopt", "release")], ids=" ".join)
def test_whatever_is_asked_for_while_a_restore_is_carried_out_leaves_one_truth(
    tmp_path: Path, verbs: tuple[str, ...], lost: bool
) -> None:
    async def main(world: World, instant: float) -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await ends(world, driver)
            await drifted(world, driver)
            if lost:
                world.balancer.faults.append(Fault("write", OutcomeUnknown("cut"), after_effect=True))
            async with asyncio.TaskGroup() as group:
                group.create_task(driver.ask("restore"))
                await asyncio.sleep(instant)
                for verb in verbs:  # as good as at once: one waits for what the other does
                    group.create_task(refused_or_done(driver.ask(verb)))
                    await asyncio.sleep(0.1)
            await driver.until(lambda: driver.engine.state.restore is None)
            await asyncio.sleep(60)
            assert not driver.engine.state.drift
            await ends(world, driver)

    for instant in [n * 0.15 for n in range(100)]:
        world = slow_world(tmp_path / f"{instant:g}")
        run(main(world, instant))
        assert world.shares("green") in ([500, 1000], [500, 1000, 1000])
