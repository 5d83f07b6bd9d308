"""Who changed the balancer: asked a few times, late, and never in anybody's way. Virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.control.documents import service
from bluegreen.core import events as ev
from bluegreen.core.state import Hand
from bluegreen.errors import AccessDenied, BalancerError, Unreachable
from bluegreen.steps.trace import TRIES_AFTER
from tests.fakes import Driver, World
from tests.virtual import VirtualClock, run

AT = datetime.fromisoformat("2026-01-01T12:00:31Z")
ANN = Hand(
    "arn:aws:iam::1:user/ann", "ModifyListener from 198.51.100.7", datetime.fromisoformat("2026-01-01T12:00:31Z")
)
BOB = Hand("arn:aws:iam::1:user/bob", "ModifyListener from 203.0.113.9", AT + timedelta(seconds=5))


class Telling(MemoryBalancer):
    """Its provider tells who changed it: the answers in turn, the last one for ever."""

    asked: list[datetime]
    answers: deque[tuple[Hand, ...] | BalancerError | None]

    async def trace(self, since: datetime) -> tuple[Hand, ...] | None:  # type: ignore[override]
        self.asked.append(since)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BalancerError):
            raise answer
        return answer


def told_by(directory: Path, *answers: tuple[Hand, ...] | BalancerError | None) -> tuple[World, Telling]:
    world = World(directory)
    balancer = Telling("point", world.environments, directory / "point.json", None)
    balancer.asked, balancer.answers = [], deque(answers)
    world.balancers = {"point": balancer}
    return world, balancer


async def left_to_itself(driver: Driver, seconds: float = 2 * TRIES_AFTER[-1]) -> dict[str, object]:
    """A drift, and a long time after it. Gives its document."""
    await asyncio.sleep(50)
    driver.world.balancer.set_weights({"blue": 7, "green": 3})
    await asyncio.sleep(seconds)
    return dict(service(driver.engine, driver.world.clock.now())["drift"][0])


def hands(world: World, *, lives: int = 1) -> object:
    async def main() -> object:
        document: dict[str, object] = {}
        for _ in range(lives):
            async with world.engine() as driver:
                document = await left_to_itself(driver)
        return document["hands"]

    return run(main())


def test_an_event_that_comes_minutes_late_names_who_what_and_when(tmp_path: Path) -> None:
    world, balancer = told_by(tmp_path, (), (), (ANN,))
    assert hands(world) == [{"who": ANN.who, "what": ANN.what, "at": "2026-01-01T12:00:31.000Z"}]
    assert len(balancer.asked) == len(TRIES_AFTER)
    [seen] = world.events(ev.DriftSeen)
    assert set(balancer.asked) == {seen.event.good_at}, "it is asked since the last look that was good"  # type: ignore[attr-defined]


def test_two_hands_are_both_on_record_each_once(tmp_path: Path) -> None:
    world, _ = told_by(tmp_path, (ANN,), (ANN, BOB))
    hands(world)
    assert [entry.event.who for entry in world.events(ev.DriftTraced)] == [ANN.who, BOB.who]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "why", "asked"),
    [
        (AccessDenied("not allowed", "grant it"), "not allowed; grant it", 1),
        ((), "the provider names nobody, 20 minutes later", len(TRIES_AFTER)),
        (Unreachable("no answer"), "it could not be asked who: no answer", len(TRIES_AFTER)),
    ],
)
def test_that_nobody_is_named_is_said_once_also_over_a_restart(tmp_path: Path, answer, why: str, asked: int) -> None:
    world, balancer = told_by(tmp_path, answer)
    assert hands(world, lives=2) == [{"who": "", "what": why, "at": None}]
    assert len(balancer.asked) == asked
    assert len(world.events(ev.DriftTraced)) == 1


def test_a_provider_that_tells_nothing_is_asked_once(tmp_path: Path) -> None:
    world, balancer = told_by(tmp_path, None)
    assert hands(world) == []
    assert len(balancer.asked) == 1


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)], ids=["forward", "back"])
def test_a_clock_that_is_set_neither_hurries_the_questions_nor_ends_them(tmp_path: Path, jump: timedelta) -> None:
    world, balancer = told_by(tmp_path, (), (), (), (ANN,))
    jumped = timedelta()

    class Set(VirtualClock):
        def now(self) -> datetime:
            return super().now() + jumped

    world.clock = Set()

    async def main() -> None:
        nonlocal jumped
        async with world.engine() as driver:
            await left_to_itself(driver, 30)
            jumped = jump
            await asyncio.sleep(TRIES_AFTER[1] / 2)
            assert len(balancer.asked) == 1
            await asyncio.sleep(2 * TRIES_AFTER[-1])

    run(main())
    assert len(balancer.asked) == len(TRIES_AFTER)
    assert [entry.event.who for entry in world.events(ev.DriftTraced)] == [ANN.who]  # type: ignore[attr-defined]


def test_a_drift_that_is_over_is_traced_no_more(tmp_path: Path) -> None:
    world, balancer = told_by(tmp_path, ())

    async def main() -> None:
        async with world.engine() as driver:
            await left_to_itself(driver, 100)
            world.balancer.set_weights({"blue": 1, "green": 0})
            await asyncio.sleep(3000)

    run(main())
    assert len(balancer.asked) == 1
    assert world.events(ev.DriftTraced) == []
