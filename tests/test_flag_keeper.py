"""The keeper of feature flags, in virtual time: when it reads, how it sets, what it does about what nobody knows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bluegreen import flag_keeper, flag_verbs
from bluegreen.core import events as ev
from bluegreen.core.notes.flags import Changed, FlagNotSet, FlagSet, FlagSetLost, FlagSetStarted, FlagsSeen
from bluegreen.core.phases import fold
from bluegreen.core.requests import Ask
from bluegreen.engine import ServiceEngine
from bluegreen.errors import AccessDenied, NotFound, NotWritten, OutcomeUnknown, Refused, Rejected, Unreachable
from bluegreen.model import Actor, Cause, Condition, Finding
from bluegreen.store.memory import MemoryStore
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

SETTLE = 30.0
EVERY = 60.0


class ScriptedFlags:
    """A provider that shows `flags`; `faults` are what its next writes raise, and `lands` says whether they have an
    effect though they raise. `dark`: it cannot be read."""

    place, writable, settle, every = "the console", True, SETTLE, EVERY

    def __init__(self, **flags: str) -> None:
        self.flags = dict(flags)
        self.faults: deque[Exception] = deque()
        self.lands: float | None = None
        self.dark = ""
        self.writes: list[tuple[str, str]] = []
        self.reads = 0
        self.hang = False

    async def read(self) -> Mapping[str, str]:
        self.reads += 1
        if self.dark:
            raise Unreachable(self.dark)
        return dict(self.flags)

    async def write(self, name: str, value: str, expected: str) -> None:
        self.writes.append((name, value))
        if self.hang:
            await asyncio.sleep(1e9)
        if self.faults:
            if self.lands is not None:
                asyncio.get_running_loop().call_later(self.lands, self.flags.__setitem__, name, value)
            raise self.faults.popleft()
        assert self.flags[name] == expected
        self.flags[name] = value

    async def examine(self) -> tuple[Finding, ...]:
        return ()

    async def close(self) -> None: ...


@pytest.fixture
def flags() -> ScriptedFlags:
    return ScriptedFlags(search="off", limit="5")


@pytest.fixture
def world(tmp_path: Path, flags: ScriptedFlags) -> World:
    return World(tmp_path, flags=flags, keepers=(flag_keeper.keep,))


def events(world: World, *kinds: type[ev.Event]) -> list[ev.Event]:
    return [entry.event for entry in world.published if isinstance(entry.event, kinds)]


def kinds(world: World) -> list[str]:
    """The entries about orders, in order."""
    of_orders = (FlagSetStarted, FlagSet, FlagNotSet, FlagSetLost)
    return [type(event).__name__ for event in events(world, *of_orders)]


async def halted(driver: Driver, world: World) -> None:
    """A deployment in mid-shift, halted by its gate."""
    await driver.deploy()
    await driver.at(50)
    world.gate.bad = True
    assert await driver.ended() is Condition.HALTED
    await driver.until(lambda: driver.engine.state.notes.flags.at_halt is not None)


async def settled(engine: ServiceEngine) -> None:
    while engine.state.notes.flags.setting:
        await engine.changed(engine.state.version)


# --- reading ---


def test_flags_are_read_when_a_deployment_begins_and_at_its_halt(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            flags.flags |= {"search": "on", "new": "on"}
            world.gate.bad = True
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            await driver.until(lambda: driver.engine.state.notes.flags.at_halt is not None)
            part = driver.engine.state.notes.flags
            then, now = part.at_deploy(driver.switch.id), part.at_halt
            assert then is not None
            assert now is not None
            assert then.flags == {"search": "off", "limit": "5"}
            assert (now.of, now.flags) == (halt.id, {"search": "on", "limit": "5", "new": "on"})
            assert part.changed_since_deploy() == (Changed("new", None, "on"), Changed("search", "off", "on"))
            assert (part.place, part.writable) == ("the console", True)

    run(main())


def test_each_halt_has_its_own_reading_and_none_is_made_twice(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver, world)
            await asyncio.sleep(10_000)
            await driver.ask("resume")
            assert await driver.ended() is Condition.HALTED
            await asyncio.sleep(1000)

    run(main())
    whens = [event.when for event in events(world, FlagsSeen) if isinstance(event, FlagsSeen)]
    assert whens == ["deploy", "halt", "halt"]


def test_a_change_between_snapshots_has_its_time_and_only_what_differs(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver, world)
            before = driver.engine.state.version
            await asyncio.sleep(10 * EVERY)
            assert driver.engine.state.version == before, "nothing new is no entry"
            flags.flags = {"search": "on"}
            await asyncio.sleep(EVERY + 1)
            [*_, seen] = events(world, FlagsSeen)
            assert isinstance(seen, FlagsSeen)
            assert (seen.when, dict(seen.flags), seen.gone) == ("now", {"search": "on"}, ("limit",))

    run(main())


def test_a_provider_that_does_not_answer_is_on_record_and_stops_nothing(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.dark = "no route"
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            part = driver.engine.state.notes.flags
            assert part.changed_since_deploy() == ()
            assert part.change_unknown() == "the flags could not be read when the deployment began: no route"
            assert len(events(world, FlagsSeen)) == 1, "an error that stays is told once"
            flags.dark = ""
            await asyncio.sleep(EVERY + 1)
            latest = driver.engine.state.notes.flags.latest
            assert latest is not None
            assert (latest.flags, latest.error) == (flags.flags, "")

    run(main())


def test_one_lost_reading_is_tried_again_for_a_snapshot(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.dark = "a lost call"
            await driver.deploy()
            while not flags.reads:  # noqa: ASYNC110 - the provider has no event of its own
                await asyncio.sleep(0.1)
            flags.dark = ""
            await driver.until(lambda: bool(driver.engine.state.notes.flags.deploys))
            then = driver.engine.state.notes.flags.at_deploy()
            assert then is not None
            assert then.error == ""

    run(main())


def test_nothing_is_read_while_there_is_nothing_to_come_back_from(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine():
            await asyncio.sleep(100 * EVERY)

    run(main())
    assert flags.reads == 0


# --- setting ---


async def order(driver: Driver, value: str = "on", name: str = "search", ask: Ask = OPERATOR) -> None:
    await flag_verbs.set_flag(driver.engine, name, value, ask)


def test_an_order_has_its_intent_before_and_its_outcome_after_and_a_halt_stays_a_halt(
    world: World, flags: ScriptedFlags
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver, world)
            await order(driver)
            assert flags.flags["search"] == "on"
            assert driver.switch.condition is Condition.HALTED
            assert driver.switch.halt is not None
            assert driver.switch.halt.cause is Cause.GATE_FAILED
            [act] = driver.engine.state.notes.flags.acts
            assert (act.by, act.reason, act.outcome) == (str(OPERATOR.actor), OPERATOR.reason, "set")

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagSet"]
    assert flags.writes == [("search", "on")]
    assert world.shares("green") == [50], "no traffic moves"


def test_a_flag_can_be_set_before_any_was_ever_read(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await order(driver)
            part = driver.engine.state.notes.flags
            assert part.latest is not None
            assert part.latest.flags == {"search": "on", "limit": "5"}

    run(main())
    assert flags.writes == [("search", "on")]


@pytest.mark.parametrize("fault", [Unreachable("no route"), AccessDenied("not you"), Rejected("not this")])
def test_a_refusal_of_the_provider_is_an_outcome(world: World, flags: ScriptedFlags, fault: Exception) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.faults.append(fault)
            await order(driver)
            [act] = driver.engine.state.notes.flags.acts
            assert (act.outcome, act.detail) == ("not set", str(fault))

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagNotSet"]


@pytest.mark.parametrize("lands", [0.0, 20.0])
def test_a_lost_answer_is_looked_up_and_the_flag_is_never_set_twice(
    world: World, flags: ScriptedFlags, lands: float
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            flags.faults.append(OutcomeUnknown("the answer was lost"))
            flags.lands = lands
            await order(driver)
            await settled(driver.engine)
            [act] = driver.engine.state.notes.flags.acts
            assert act.outcome == "set"

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagSetLost", "FlagSet"]
    [outcome] = events(world, FlagSet)
    assert outcome == FlagSet("search", "off", "on", recovered=True)
    assert flags.writes == [("search", "on")]


def test_a_lost_order_that_had_no_effect_is_told_so_only_when_nothing_can_be_under_way(
    world: World, flags: ScriptedFlags
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.faults.append(OutcomeUnknown("the answer was lost"))
            began = asyncio.get_running_loop().time()
            await order(driver)
            act = driver.engine.state.notes.flags.setting["search"]
            assert (act.outcome, act.detail) == ("unknown", "the answer was lost")
            with pytest.raises(Refused, match="is being set to on already"):
                await order(driver)
            await settled(driver.engine)
            assert asyncio.get_running_loop().time() - began >= SETTLE
            [act] = driver.engine.state.notes.flags.acts
            assert (act.outcome, act.detail) == ("not set", "search still shows off")

    run(main())
    assert flags.writes == [("search", "on")]


def test_what_cannot_be_looked_up_stays_unknown_for_as_long_as_it_takes(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.faults.append(OutcomeUnknown("the answer was lost"))
            flags.lands = 0.0
            await order(driver)
            flags.dark = "no route"
            await asyncio.sleep(86_400)
            assert driver.engine.state.notes.flags.setting["search"].outcome == "unknown"
            assert flags.reads < 86_400 / EVERY + 200, "and it is not asked for ever more"
            flags.dark = ""
            await settled(driver.engine)

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagSetLost", "FlagSet"]


def test_another_hand_meanwhile_is_told_as_what_it_is(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            flags.faults.append(OutcomeUnknown("the answer was lost"))
            await order(driver, "9", "limit")
            flags.flags["limit"] = "7"
            await settled(driver.engine)
            [act] = driver.engine.state.notes.flags.acts
            assert (act.outcome, act.detail) == ("not set", "limit now shows 7")

    run(main())


def test_a_write_that_was_taken_but_does_not_show_is_in_doubt(world: World, flags: ScriptedFlags) -> None:
    class Slow(ScriptedFlags):
        async def write(self, name: str, value: str, expected: str) -> None:
            self.writes.append((name, value))
            asyncio.get_running_loop().call_later(10, self.flags.__setitem__, name, value)

    slow = world.flags = Slow(search="off")

    async def main() -> None:
        async with world.engine() as driver:
            await order(driver)
            act = driver.engine.state.notes.flags.setting["search"]
            assert act.detail == "it was taken, but search shows off"
            await settled(driver.engine)

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagSetLost", "FlagSet"]
    assert slow.writes == [("search", "on")]


@pytest.mark.parametrize("landed", [True, False])
def test_a_restart_between_intent_and_outcome_looks_up_and_never_sends_again(
    world: World, flags: ScriptedFlags, landed: bool
) -> None:
    async def main() -> None:
        flags.hang = True
        async with world.engine() as driver:
            await order(driver)
            assert flags.writes == [("search", "on")]
        flags.hang = False
        if landed:
            flags.flags["search"] = "on"
        async with world.engine() as driver:
            await settled(driver.engine)
            [act] = driver.engine.state.notes.flags.acts
            assert act.outcome == ("set" if landed else "not set")
            entries = await world.store.read("web")
            assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state

    run(main())
    assert flags.writes == [("search", "on")]
    assert kinds(world)[:2] == ["FlagSetStarted", "FlagSetLost"]
    assert len(kinds(world)) == 3


class FullStore(MemoryStore):
    """Has no room for the outcome of an order while `full`."""

    full = True

    async def append(self, service: str, expected: int, records: Sequence[ev.Record]) -> tuple[ev.Entry, ...]:
        if self.full and any(isinstance(record.event, FlagSet) for record in records):
            raise NotWritten("the disk is full", "make room")
        return await super().append(service, expected, records)


def test_an_outcome_that_finds_no_room_is_on_record_as_soon_as_there_is(world: World, flags: ScriptedFlags) -> None:
    store = world.store = FullStore()

    async def main() -> None:
        async with world.engine() as driver:
            await order(driver)
            assert "search" in driver.engine.state.notes.flags.setting
            await asyncio.sleep(100)
            store.full = False
            await settled(driver.engine)

    run(main())
    assert kinds(world) == ["FlagSetStarted", "FlagSet"]
    assert flags.writes == [("search", "on")]


def test_the_same_key_sets_once(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            ask = Ask(Actor("uid:1"), "why", "key-1", "digest")
            await order(driver, ask=ask)
            await order(driver, ask=ask)

    run(main())
    assert flags.writes == [("search", "on")]


def test_what_is_refused_or_cannot_be_read_leaves_nothing_on_record(world: World, flags: ScriptedFlags) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            before = driver.engine.state.version
            with pytest.raises(NotFound):
                await order(driver, name="serch")
            flags.dark = "no route"
            with pytest.raises(Unreachable, match="the flags of web cannot be read: no route"):
                await order(driver)
            assert (await flag_verbs.look(driver.engine)).error == "no route"
            assert driver.engine.state.version == before

    run(main())
    assert flags.writes == []


def test_the_plan_of_a_failback_tells_which_flags_the_old_side_was_never_live_with(
    world: World, flags: ScriptedFlags
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            flags.flags |= {"search": "on", "new": "on"}
            assert await driver.ended() is Condition.COMPLETED
            await asyncio.sleep(2 * EVERY)
            plan = await driver.fleet.failback_plan("web")
            told = {line.id: line.text for line in plan.report.lines if line.id.startswith("flag")}
            assert told == {
                "flag-moved:new": "flag new was not there, and is on: blue was never live with that",
                "flag-moved:search": "flag search was off, and is on: blue was never live with that",
            }
            flags.dark = "no route"
            await asyncio.sleep(2 * EVERY)
            plan = await driver.fleet.failback_plan("web")
            assert "what the feature flags were, or are, is not known" in {line.text for line in plan.report.lines}

    run(main())


def test_a_service_without_flags_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, keepers=(flag_keeper.keep,))

    async def main() -> None:
        async with world.engine() as driver:
            with pytest.raises(Refused, match="web has no feature flags"):
                await flag_verbs.look(driver.engine)
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert events(world, FlagsSeen) == []
