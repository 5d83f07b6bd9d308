"""Every way that is offered at every kind of halt is taken, and does exactly what it says; every other is refused in
the very words that people were shown."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from bluegreen.core import events as ev
from bluegreen.core.ahead import Moved
from bluegreen.core.halts import options
from bluegreen.core.ways import Option
from bluegreen.errors import Refused
from bluegreen.model import Condition, percent
from tests.fakes import OPERATOR, Driver
from tests.haltings import HALTS, THREE, TWO, HaltWorld, at_halt, world_of
from tests.virtual import run

pytestmark = pytest.mark.slow

PLACES = [(kind, *place) for kind in HALTS for place in ((TWO, ("point",)), (THREE, ("a", "b")))]
STAYING = ("hold", "abort", "adopt", "leave", "pause", "halt")


def _options(driver: Driver) -> tuple[Option, ...]:
    engine = driver.engine
    setup = engine.setup
    return options(engine.state, setup.environments, driver.world.clock.now(), setup.deployment, setup.failback)


def _name(option: Option) -> tuple[str, str]:
    return option.verb, option.subject


@pytest.mark.parametrize(("kind", "environments", "points"), PLACES)
def test_each_way_that_is_offered_does_exactly_what_it_says(
    tmp_path: Path, kind: str, environments: tuple[str, ...], points: tuple[str, ...]
) -> None:
    numbers = itertools.count()

    async def offered() -> list[tuple[str, str]]:
        async with at_halt(world_of(tmp_path / "first", environments, points), kind) as driver:
            return [_name(option) for option in _options(driver) if option.lawful]

    async def take(name: tuple[str, str]) -> None:
        world = world_of(tmp_path / str(next(numbers)), environments, points)
        async with at_halt(world, kind) as driver:
            (option,) = [one for one in _options(driver) if _name(one) == name]
            await _take(world, driver, option)
            await _as_it_said(world, driver, option)

    names = run(offered())
    assert ("hold", "") in names
    assert set(names) != {("hold", "")}, "a halt without a way on"
    for name in names:
        run(take(name))


@pytest.mark.parametrize(("kind", "environments"), list(itertools.product(HALTS, (TWO, THREE))))
def test_each_way_that_is_not_offered_is_refused_in_those_words_and_changes_nothing(
    tmp_path: Path, kind: str, environments: tuple[str, ...]
) -> None:
    async def main() -> None:
        world = world_of(tmp_path, environments)
        async with at_halt(world, kind) as driver:
            for option in _options(driver):
                if option.lawful:
                    continue
                entries, before = len(world.published), await driver.shown() if not world.balancer.faults else None
                with pytest.raises(Refused) as refusal:
                    await _ask(driver, option)
                assert (refusal.value.what, refusal.value.advice) == (option.why_not, option.instead)
                assert len(world.published) == entries
                assert before is None or await driver.shown() == before

    run(main())


# --- taking one ---


async def _take(world: HaltWorld, driver: Driver, option: Option) -> None:
    """As an operator would: what was wrong is mended first; what is accepted stays as bad as it was."""
    if option.verb not in ("accept", "hold"):
        world.mend()
    await _ask(driver, option)


async def _ask(driver: Driver, option: Option) -> None:
    halt = driver.switch.halt
    assert halt is not None
    match option.verb:
        case "hold":
            return
        case "deploy":
            replaces = "--replace-warm" in option.command
            await driver.fleet.deploy("web", "v3", OPERATOR, replace_warm=replaces, halt=halt.id)
        case "failback":
            await driver.failback()
        case "accept":
            await driver.ask("accept", check=option.subject, halt=halt.id)
        case "release" if option.subject:
            await driver.ask("release", environment=option.subject, halt=halt.id)
        case verb:
            await driver.ask(verb, halt=halt.id)


async def _as_it_said(world: HaltWorld, driver: Driver, option: Option) -> None:
    before = len(world.events(ev.WeightsSet))
    if option.verb in STAYING:
        await asyncio.sleep(3_600)
    elif option.verb == "restore":
        await driver.until(lambda: driver.engine.state.restore is None)
    else:
        assert await driver.ended() is Condition.COMPLETED, driver.switch.halt
    for name, balancer in world.balancers.items():
        balancer.faults.clear()
        shown, row = await balancer.read(), _row(option, name)
        if row.after is None:  # not known, and nothing is written to it
            assert (row.now, option.moves_traffic) == (None, False)
            continue
        assert shown.same_split(row.after), f"{option.verb}: {name} shows {shown}, said was {row.after}"
        if not option.moves_traffic:
            assert row.now is None or shown.same_split(row.now)
    goes = [entry.event for entry in world.events(ev.WeightsSet)[before:]]
    told = dict.fromkeys(one.split.share(driver.switch.candidate) for one in goes)  # type: ignore[attr-defined]
    if told and option.verb != "promote" and "until that is known" not in option.effect:
        assert f"goes to {', '.join(percent(share) for share in told)}" in option.effect
    if option.verb == "deploy":
        assert driver.switch.candidate == option.subject


def _row(option: Option, point: str) -> Moved:
    return next(row for row in option.traffic if row.point == point)
