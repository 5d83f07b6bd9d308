"""Another configuration while the engine runs, and a journal that is not to be believed. Virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.core import events as ev
from bluegreen.core.requests import Adopt
from bluegreen.errors import AppendUnknown, ConfigError, OutcomeUnknown, Refused, Rejected, Unreachable
from bluegreen.errors import Fault as Fault_
from bluegreen.model import WHOLE, Cause, Condition, Weights
from bluegreen.ports import Ports, Setup
from tests.fakes import OPERATOR, ScriptedCheck, World
from tests.virtual import run


class Configurable(World):
    """Its configuration is a word; ports of another word have a smoke check of that name, and are counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.word = "one"
        self.opened: dict[str, list[ScriptedCheck]] = {}
        self.closed: list[str] = []

    def setup(self) -> Setup:
        return replace(super().setup(), config=self.word, config_hash=f"hash of {self.word}")

    def restore(self, config: str) -> Setup:
        return replace(super().setup(), config=config, config_hash=f"hash of {config}")

    def open(self, setup: Setup) -> Ports:
        check = Closing(setup.config, self.closed)
        self.opened.setdefault(setup.config, []).append(check)
        return replace(super().open(setup), smoke=(check,))


class Closing(ScriptedCheck):
    """Says when it was closed."""

    def __init__(self, name: str, closed: list[str]) -> None:
        super().__init__(name)
        self._closed = closed

    async def close(self) -> None:
        self._closed.append(self.name)


def test_a_switch_keeps_the_configuration_it_started_with_and_the_next_one_has_the_new(tmp_path: Path) -> None:
    world = Configurable(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy("v2")
            await driver.at(50)
            world.word = "two"
            await driver.engine.reconfigure(world.setup())
            await driver.engine.reconfigure(world.setup())  # the same again changes nothing
            assert [check.name for check in driver.engine.ports().smoke] == ["one"]
            assert await driver.ended() is Condition.COMPLETED
            await asyncio.sleep(20)
            assert world.closed == ["one"], "nobody needs it any more"
            assert [check.name for check in driver.engine.ports().smoke] == ["two"]
            await driver.fleet.deploy("web", "v3", OPERATOR, replace_warm=True)
            assert await driver.ended() is Condition.COMPLETED
        assert [look for check in world.opened["one"] for look in check.looks] == ["green v2"]
        assert [look for check in world.opened["two"] for look in check.looks] == ["blue v3"]
        assert len(world.opened["two"]) == 1

    run(main())


def test_a_process_that_finds_a_switch_of_another_configuration_ends_it_with_that_one(tmp_path: Path) -> None:
    world = Configurable(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy("v2")
            await driver.at(50)
        world.word = "two"
        async with world.engine() as driver:
            assert [check.name for check in driver.engine.ports().smoke] == ["one"]
            world.word = "three"
            await driver.engine.reconfigure(world.setup())
            assert "two" in world.closed
            assert await driver.ended() is Condition.COMPLETED
            await driver.engine.close()
        assert not [check for check in world.opened["two"] + world.opened["three"] if check.looks]

    run(main())


def test_ports_of_an_open_switch_are_closed_with_the_engine(tmp_path: Path) -> None:
    world = Configurable(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy("v2")
            await driver.at(50)
            world.word = "two"
            await driver.engine.reconfigure(world.setup())
            await driver.engine.stop()
            await driver.engine.close()
        assert sorted(world.closed) == ["one", "two"]

    run(main())


class Newer(Configurable):
    """A program that cannot read what an older one wrote down, until `reads`."""

    reads = False

    def restore(self, config: str) -> Setup:
        if not self.reads:
            raise ConfigError([Fault_("journal", 0, "shift.pace", "unknown key")])
        return super().restore(config)


@pytest.mark.parametrize("way", ["the old program", "failback"])
def test_a_configuration_that_the_next_program_cannot_read_halts_its_switch_and_nothing_else(
    tmp_path: Path, way: str
) -> None:
    world = Newer(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy("v2")
            await driver.at(50)
        world.word = "two"
        async with world.engine() as driver:
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.INTERRUPTED
            assert "cannot read the configuration that the switch started with: unknown key" in halt.summary
            await driver.ask("resume")
            assert await driver.ended() is Condition.HALTED, "nothing goes on by another configuration"
            assert world.shares("green") == [50]
            if way == "failback":
                await driver.failback()
                assert await driver.ended() is Condition.COMPLETED
                return
        world.reads = True
        async with world.engine() as driver:
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert [check.name for check in world.opened["one"] if check.looks]

    run(main())


class Coarse(MemoryBalancer):
    """Cannot express small shares."""

    def native(self, split: Weights) -> Weights:
        if 0 < split.share("green") < 100:
            raise Rejected(f"{self.point} cannot give green {split.share('green') / 10:g}%")
        return super().native(split)


def test_a_share_that_the_balancer_cannot_express_is_a_halt_and_never_rounded(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.balancers = {"point": Coarse("point", world.environments, tmp_path / "point.json", None)}

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.BALANCER_REFUSED
            assert "cannot give green 5%" in halt.summary
        assert world.balancer.writes == []

    run(main())


def test_a_journal_that_is_older_than_its_card_moves_nothing_before_somebody_adopts(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            await driver.engine.book.distrust("the card is newer by 3 entries")
            await driver.engine.book.distrust("said again")
            assert driver.switch.condition is Condition.HALTED
            with pytest.raises(Refused, match="newer by 3 entries"):
                await driver.ask("resume")
            shown = await driver.shown()
            await driver.engine.submit(Adopt(seen={"point": shown}), OPERATOR)
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
        assert [one.event.why for one in world.published if isinstance(one.event, ev.Distrusted)] == [
            "the card is newer by 3 entries"
        ]
        assert world.shares("green")[-1] == WHOLE

    run(main())


def test_what_a_card_did_is_taken_in_once_and_stays_halted_until_a_person_says_so(tmp_path: Path) -> None:
    world, other = World(tmp_path), World(tmp_path)

    async def receipt() -> tuple[ev.Entry, ...]:
        """The journal of a failback that another process made over the same balancer."""
        async with other.engine() as driver:
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
        return await other.store.read("web")

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            head = driver.engine.state
        taken = ev.CardTaken(
            "web.1.jsonl", "sha256:1", "green", "blue", {"point": await world.balancer.read()}, {"green": "v2"}
        )
        await other.store.append("web", 0, [ev.Record("r-1", other.clock.now(), "web", None, "ann", taken, "down")])
        entries = await receipt()
        engine = world.new_engine()
        await engine.start()
        await engine.book.import_receipt(entries)
        await engine.book.import_receipt(entries)
        state = engine.state
        assert head.share("green") == 50
        assert state.live == "blue"
        assert state.share("blue") == WHOLE
        assert state.receipts == {"web.1.jsonl"}
        assert len([one for one in await world.store.read("web") if isinstance(one.event, ev.CardTaken)]) == 1

    run(main())


def test_what_is_noted_with_the_same_key_is_noted_once(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            ask = replace(OPERATOR, key="k", digest="d")
            for _ in range(2):
                await driver.engine.note(lambda state: [ev.DriftGone("point")], ask)
        assert len(world.events(ev.DriftGone)) == 1

    run(main())


def test_a_request_whose_append_is_unknown_ends_the_engine(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def fails(*_: object) -> tuple[ev.Entry, ...]:
        raise AppendUnknown("who knows")

    async def main() -> None:
        with pytest.RaisesGroup(AppendUnknown, flatten_subgroups=True, allow_unwrapped=True):
            async with world.engine() as driver:
                world.store.append = fails  # type: ignore[method-assign, assignment]
                with pytest.raises(AppendUnknown):
                    await driver.deploy()
                await asyncio.sleep(10_000)

    run(main())


def test_a_point_that_leaves_the_configuration_while_a_restore_is_looked_up_holds_nothing_up(tmp_path: Path) -> None:
    world = Configurable(tmp_path, points=("eu", "us"))
    both = dict(world.balancers)

    async def main() -> None:
        async with world.engine() as driver:
            both["us"].set_weights({"blue": 1, "green": 1})
            await driver.until(lambda: bool(driver.engine.state.drift))
            gone = [Fault("read", Unreachable("gone"))] * 1000
            both["us"].faults.extend([Fault("write", OutcomeUnknown("cut")), *gone])
            await driver.ask("restore")
            await driver.until(lambda: bool(world.events(ev.RestoreLost)))
            assert driver.engine.state.in_doubt
            world.word, world.points, world.balancers = "two", ("eu",), {"eu": both["eu"]}
            world.plan = replace(world.plan, points=("eu",))
            await driver.engine.reconfigure(world.setup())
            await driver.until(lambda: bool(world.events(ev.PointForgotten)))
            await asyncio.sleep(1000)
            assert not driver.engine.state.in_doubt
            assert world.events(ev.RestoreUnread) == [], "nobody asks any more what became of it"
            await driver.deploy("v2")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
