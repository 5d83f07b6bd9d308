"""Who is told of a halt, when and how loudly; and that nothing else ever follows from a halt's age. Virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluegreen import notices
from bluegreen.balancers.memory import Fault
from bluegreen.config.freeze import FreezeWindow
from bluegreen.config.notify import Notifier
from bluegreen.control import documents
from bluegreen.core import admit_line
from bluegreen.core import events as ev
from bluegreen.core.due import Schedule
from bluegreen.core.notes.line import Claimed, Notified
from bluegreen.core.notes.silence import BalancerHeard, BalancerSilent
from bluegreen.core.notes.warm import WarmReadinessLost
from bluegreen.core.requests import Ask
from bluegreen.engine import ServiceEngine
from bluegreen.errors import Refused, StateMoved, Unreachable
from bluegreen.freezes import Freezes
from bluegreen.model import Actor, Condition, Plan
from bluegreen.notices.keeper import NoticeKeeper
from bluegreen.notices.notice import Notice
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SCHEDULE = Schedule((15 * MINUTE, HOUR, 4 * HOUR), 4 * HOUR)
BOB = Ask(Actor("uid:1001(bob)"))


class Sender:
    """A place that is told, or fails, or hangs."""

    def __init__(self) -> None:
        self.got: list[tuple[float, str, Notice]] = []
        self.attempts = 0
        self.fails = self.hangs = False

    async def __call__(self, notifier: Notifier, notice: Notice) -> None:
        self.attempts += 1
        if self.hangs:
            await asyncio.sleep(10**9)
        if self.fails:
            raise ValueError("answered 500")
        self.got.append((asyncio.get_running_loop().time(), notifier.name, notice))

    def times(self, name: str, kind: str = "halt") -> list[float]:
        return [at for at, who, notice in self.got if who == name and notice.kind == kind]


class Telling(World):
    """A world whose engines tell people."""

    every = 900.0
    """How often the balancers are looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.notifiers = [
            Notifier(name="ops", webhook="http://ops", events=["halt", "claim", "reminder", "pause", "drift", "ended"]),
            Notifier(name="boss", webhook="http://boss", level=2),
        ]

    def new_engine(self, card: Any = None) -> ServiceEngine:
        keeper = NoticeKeeper(lambda: (self.notifiers, SCHEDULE), self.clock)
        return ServiceEngine(
            self.setup(), self.store, self.clock, self, self.published.append, lambda: f"{next(self.ids):06}",
            self.every, card, (keeper.run,),
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Telling:
    return Telling(tmp_path)


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    made = Sender()
    monkeypatch.setitem(notices.KINDS, "webhook", made)
    return made


async def halted(driver: Driver) -> float:
    """When it was halted."""
    driver.world.smoke.bad = True
    await driver.deploy()
    assert await driver.ended() is Condition.HALTED
    return asyncio.get_running_loop().time()


async def claims(driver: Driver, ask: Ask = OPERATOR, halt: str | None = None, *, drop: bool = False) -> None:
    await driver.engine.note(lambda now: admit_line.claim(now, str(ask.actor), halt, drop=drop), ask)


def after(began: float, times: list[float]) -> list[float]:
    return [round(at - began) for at in times]


class Keeping:
    """Evidence that is being kept until it is not."""

    done = False

    def gathering(self, state: Any) -> str | None:
        switch = state.open_switch
        return switch.halt.id if switch is not None and switch.halt is not None and not self.done else None


def test_a_halt_is_told_once_its_evidence_is_kept(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            driver.engine.gathering = keeping = Keeping()  # type: ignore[assignment]
            await halted(driver)
            await asyncio.sleep(8.0)
            assert sender.got == [], "no way on is told of before"
            keeping.done = True
            await asyncio.sleep(2.0)
            assert len(sender.times("ops")) == 1

    run(main())


def test_a_halt_that_nobody_claims_is_told_again_more_loudly_and_nothing_else_happens(
    world: Telling, sender: Sender
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            began = await halted(driver)
            await asyncio.sleep(9 * DAY + MINUTE)
            told = after(began, sender.times("ops"))
            assert told[:5] == [0, 15 * MINUTE, HOUR, 4 * HOUR, 8 * HOUR]
            assert {b - a for a, b in itertools.pairwise(told[3:])} == {4 * HOUR}
            assert len(told) == 3 + 9 * 6
            assert after(began, sender.times("boss"))[0] == 15 * MINUTE, "one level more each time"
            assert [notice.times for _, name, notice in sender.got if name == "ops"] == list(range(1, len(told) + 1))
            assert driver.switch.condition is Condition.HALTED
            assert world.balancer.writes == []
        kinds = {type(entry.event) for entry in world.published[-50:]}
        assert kinds == {Notified}

    run(main())


def test_a_claimed_halt_is_quiet_and_whoever_has_it_is_reminded(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            began = await halted(driver)
            await asyncio.sleep(10 * MINUTE)
            await claims(driver)
            await claims(driver)  # twice is once
            await asyncio.sleep(9 * HOUR)
            assert after(began, sender.times("ops")) == [0]
            assert sender.times("boss") == []
            assert after(began, sender.times("ops", "claim")) == [10 * MINUTE]
            assert after(began, sender.times("ops", "reminder")) == [4 * HOUR + 600, 8 * HOUR + 600]
            await claims(driver, drop=True)
            await asyncio.sleep(1)
            assert sender.got[-1][2].times == 5, "it goes on where its age is"
        assert len([entry for entry in world.published if isinstance(entry.event, Claimed)]) == 1

    run(main())


def test_a_claim_is_taken_over_and_shown_and_ends_with_the_halt(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            halt = driver.switch.halt
            assert halt is not None
            with pytest.raises(StateMoved):
                await claims(driver, halt="another")
            with pytest.raises(Refused, match="nobody has"):
                await claims(driver, drop=True)
            await claims(driver, halt=halt.id)
            await claims(driver, BOB)
            shown = documents.service(driver.engine, world.clock.now())["switch"]["claim"]
            assert shown["by"] == "uid:1001(bob)"
            assert [one["by"] for one in shown["before"]] == ["uid:1000(ann)"]
            await driver.ask("resume")  # whoever has it, somebody else may answer
            await driver.ended()
            assert driver.engine.state.notes.line.claim is None, "this is another halt"
            world.smoke.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            with pytest.raises(Refused, match="nothing is halted"):
                await claims(driver)

    run(main())


def test_no_restart_tells_anything_twice_and_the_schedule_goes_on(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            began = await halted(driver)
            await asyncio.sleep(1)
        async with world.engine() as driver:
            await asyncio.sleep(20 * MINUTE)
        await asyncio.sleep(3 * DAY)
        async with world.engine() as driver:
            await asyncio.sleep(MINUTE)
            assert after(began, sender.times("ops"))[:2] == [0, 15 * MINUTE]
            assert len(sender.times("ops")) == 3, "after three days away it is told once, not for every hour"
            assert sender.got[-1][2].times > 15

    run(main())


def test_what_fails_or_hangs_is_on_show_and_holds_up_nobody(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            sender.fails = True
            await halted(driver)
            await asyncio.sleep(10)
            assert sender.attempts == 3
            told = documents.service(driver.engine, world.clock.now())["switch"]["told"]
            assert told["failed"] == {"ops": "ValueError: answered 500"}
            sender.fails, sender.hangs = False, True
            await asyncio.sleep(15 * MINUTE)
            world.smoke.bad = False
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            await asyncio.sleep(200)
            last = driver.engine.state.notes.line.notices
            assert any("no answer within 10 s" in why for one in last.values() for why in one.failed.values())

    run(main())


def test_drift_an_approval_and_an_end_are_told_once(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.balancer.set_weights({"blue": 70, "green": 30})
            await asyncio.sleep(2 * HOUR)
            assert [notice.kind for _, name, notice in sender.got if name == "ops"] == ["ended", "drift"]
            (where,) = sender.got[-1][2].traffic.values()
            assert where.startswith("shows ")
            assert ", the journal says blue 0% green 100%" in where
            assert "70" in sender.got[-1][2].summary

    run(main())


def test_a_way_back_that_is_lost_is_told_once(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
            world.notifiers = [Notifier(name="ops", webhook="http://ops")]
            await driver.engine.note(lambda _: [WarmReadinessLost("blue", ("orders: bad",))])
            await asyncio.sleep(2 * HOUR)
            ((_, _, notice),) = sender.got
            assert notice.kind == "warm"
            assert notice.text().startswith(
                "FAILBACK NOT READY web: a failback to blue would not go through: orders: bad"
            )

    run(main())


def test_a_balancer_that_is_silent_while_nothing_is_under_way_is_told_of_once_and_once_when_it_is_read_again(
    world: Telling, sender: Sender
) -> None:
    world.every, away = 15.0, [Fault("read", Unreachable("no route", "look at the firewall"))] * 10_000

    async def main() -> None:
        async with world.engine():
            world.notifiers = [Notifier(name="ops", webhook="http://ops")]
            for seconds in (60.0, 200.0):  # shorter than what is told of
                world.balancer.faults.extend(away)
                await asyncio.sleep(seconds)
                world.balancer.faults.clear()
                await asyncio.sleep(30.0)
            assert sender.got == []
            world.balancer.faults.extend(away)
            await asyncio.sleep(6 * HOUR)
            ((_, _, notice),) = sender.got
            assert notice.text().startswith("BALANCER web: point cannot be read since 2026-01-01 12:0")
            assert "no route" in notice.text()
            world.balancer.faults.clear()
            await asyncio.sleep(HOUR)
            assert [(notice.kind, notice.times) for _, _, notice in sender.got] == [("unread", 1), ("unread", 2)]
            assert "point can be read again" in sender.got[-1][2].text()
        async with world.engine():
            await asyncio.sleep(HOUR)
            assert len(sender.got) == 2, "a restart tells nothing again"

    run(main())


def test_a_balancer_that_comes_and_goes_is_told_of_once_an_hour_at_the_most(world: Telling, sender: Sender) -> None:
    world.every = 15.0

    async def main() -> None:
        async with world.engine():
            world.notifiers = [Notifier(name="ops", webhook="http://ops")]
            for _ in range(10):
                world.balancer.faults.extend([Fault("read", Unreachable("no route"))] * 10_000)
                await asyncio.sleep(400.0)
                world.balancer.faults.clear()
                await asyncio.sleep(200.0)
            assert [(notice.kind, notice.times) for _, _, notice in sender.got] == [("unread", 1), ("unread", 2)]
            world.balancer.faults.extend([Fault("read", Unreachable("no route"))] * 10_000)
            await asyncio.sleep(2 * HOUR)
            assert [notice.times for _, _, notice in sender.got] == [1, 2, 1], "it stays away: that is told"

    run(main())


def test_a_silence_that_a_halt_or_a_lost_way_back_tells_of_is_not_told_twice(world: Telling, sender: Sender) -> None:
    world.every = 15.0

    async def main() -> None:
        async with world.engine() as driver:
            world.notifiers = [Notifier(name="ops", webhook="http://ops")]
            await driver.deploy()
            await driver.at(50)
            world.balancer.faults.extend([Fault("read", Unreachable("no route"))] * 10_000)
            assert await driver.ended() is Condition.HALTED
            await asyncio.sleep(10 * MINUTE)
            assert {notice.kind for _, _, notice in sender.got} == {"halt"}
            assert world.events(BalancerSilent)
            world.balancer.faults.clear()
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert world.events(BalancerHeard)
            await driver.engine.note(lambda _: [WarmReadinessLost("blue", ("point: unreadable",))])
            world.balancer.faults.extend([Fault("read", Unreachable("no route"))] * 10_000)
            await asyncio.sleep(2 * HOUR)
            assert {notice.kind for _, _, notice in sender.got} == {"halt", "warm"}

    run(main())


def test_a_notice_says_where_the_traffic_is_and_what_to_type(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            await asyncio.sleep(1)
            _, _, notice = sender.got[0]
            text = notice.text()
            assert text.startswith("HALTED web: orders: bad")
            assert "point: blue 100% green 0%" in text
            assert "bluegreen claim web" in text
            assert "bluegreen resume web" in text
            event = json.loads(notice.json())
            assert event["type"] == "dev.bluegreen.halt.v1"
            assert driver.switch.halt is not None
            assert event["data"]["halt"] == driver.switch.halt.id
            assert event["id"].endswith("-h1/1")

    run(main())


def test_what_a_freeze_holds_up_is_not_among_the_ways(tmp_path: Path, sender: Sender) -> None:
    freeze = FreezeWindow(name="night", start="2020-01-01 00:00", end="2120-01-01 00:00", actions=["approve"])
    world = Telling(tmp_path, plan=Plan((), (500, 1000), None))

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            driver.engine.freezes = Freezes(lambda: [freeze])
            await driver.until(lambda: driver.switch.awaiting_approval)
            await asyncio.sleep(1)
            (notice,) = [one for _, name, one in sender.got if name == "ops"]
            assert notice.kind == "pause"
            assert "failback" in [way.verb for way in notice.ways]
            assert "approve" not in [way.verb for way in notice.ways]

    run(main())


def test_time_spent_waiting_for_a_person_is_counted(world: Telling, sender: Sender) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            await asyncio.sleep(HOUR)
            world.smoke.bad = False
            await driver.ask("resume")
            await driver.ended()
            line = driver.engine.state.notes.line
            assert line.since is None
            assert round(line.waited) == HOUR

    run(main())


def test_a_notifier_that_came_by_a_reload_is_told_of_the_present_halt(world: Telling, sender: Sender) -> None:
    later: Callable[[], list[Notifier]] = lambda: [Notifier(name="new", webhook="http://new")]  # noqa: E731

    async def main() -> None:
        world.notifiers = []
        async with world.engine() as driver:
            await halted(driver)
            await asyncio.sleep(5)
            assert world.events(ev.Halted)
            assert [entry for entry in world.published if isinstance(entry.event, Notified)] == []
            world.notifiers = later()
            await asyncio.sleep(20 * MINUTE)
            assert [name for _, name, _ in sender.got] == ["new"]

    run(main())
