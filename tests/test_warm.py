"""The way back is proven all the time: what that costs, when it is noticed, and what a failback makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.control import warm_documents
from bluegreen.core import events as ev
from bluegreen.core.notes.warm import WarmReadinessFound, WarmReadinessLost
from bluegreen.core.phases import fold
from bluegreen.errors import Refused
from bluegreen.model import FOR_A_FAILBACK, WHOLE, Condition, Finding, Phase, Plan, Target, TargetState
from bluegreen.ports import Ports, Setup
from tests.fakes import OPERATOR, Driver, ScriptedCheck, World
from tests.virtual import run

WEEK = 7 * 86400.0
ALL_IN = Plan((), (WHOLE,), 0.0, 0.0, 2 * WEEK)
ILL = (Target("blue", TargetState.UNHEALTHY, "L4CON refused"),)
WELL = (Target("blue", TargetState.HEALTHY),)


class WarmWorld(World):
    """A service whose keepers run; `more` are further smoke checks."""

    def __init__(self, directory: Path, *more: ScriptedCheck, **rest: object) -> None:
        self.more = more
        super().__init__(directory, plan=rest.pop("plan", ALL_IN), proving=True, **rest)  # type: ignore[arg-type]

    def open(self, setup: Setup) -> Ports:
        ports = super().open(setup)
        names = ports.smoke_unversioned | {check.name for check in self.more}
        return replace(ports, smoke=(*ports.smoke, *self.more), smoke_unversioned=names)

    def notes(self) -> list[str]:
        """What was put on record of the way back, in order."""
        kinds = (WarmReadinessLost, WarmReadinessFound)
        return [type(entry.event).__name__ for entry in self.published if isinstance(entry.event, kinds)]


def ready(driver: Driver) -> bool:
    return bool(document(driver)["ready"])


def document(driver: Driver) -> dict[str, object]:
    return warm_documents.ready(driver.engine, driver.world.clock.now())


def reasons(driver: Driver) -> str:
    return "; ".join(map(str, document(driver)["reasons"]))  # type: ignore[call-overload]


async def warmed(driver: Driver) -> None:
    """A deployment to its end, and what is kept warm proven twice."""
    await driver.deploy()
    assert await driver.ended() is Condition.COMPLETED
    await asyncio.sleep(65)
    assert ready(driver), reasons(driver)


async def next_look(check: ScriptedCheck) -> None:
    """Until the check was asked once more, and its answer was taken in."""
    before = len(check.looks)
    while len(check.looks) == before:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(1)
    await asyncio.sleep(1)


# --- cost and age ---


@pytest.mark.parametrize("days", [0.25, pytest.param(3, marks=pytest.mark.slow)])
def test_in_days_of_warmth_no_proof_is_ever_older_than_a_minute_and_the_looks_are_few(
    tmp_path: Path, report_figures: Callable[[str], None], days: float
) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            begun, looked = asyncio.get_running_loop().time(), len(world.smoke.looks)
            oldest = 0.0
            while asyncio.get_running_loop().time() < begun + days * 86400:
                await asyncio.sleep(607.3)
                assert ready(driver), reasons(driver)
                oldest = max(oldest, warm_documents.proof_age(driver.engine, world.clock.now()) or 1e9)
            looks = len(world.smoke.looks) - looked
            report_figures(f"{days:g} days warm: oldest proof {oldest:.1f} s, {looks} looks of a smoke check, no entry")
            assert oldest <= 60.0
            assert looks <= (asyncio.get_running_loop().time() - begun) / 30 + 2
            assert set(world.smoke.looks[looked:]) == {"blue None"}
            assert world.notes() == []

    run(main())


@pytest.mark.slow
def test_a_dear_check_keeps_its_own_pace_and_its_proof_lasts_as_long(tmp_path: Path) -> None:
    dear = ScriptedCheck("dear")
    dear.every = 600.0
    world = WarmWorld(tmp_path, dear)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            before = len(dear.looks)
            for _ in range(72):
                await asyncio.sleep(600)
                assert ready(driver), reasons(driver)
            assert len(dear.looks) - before <= 73
            valid = {one["check"]: one["valid_seconds"] for one in document(driver)["proofs"]}  # type: ignore[attr-defined]
            assert (valid["dear"], valid["orders"]) == (1200.0, 60.0)

    run(main())


def test_a_slow_check_has_as_long_a_rest(tmp_path: Path) -> None:
    slow = ScriptedCheck("slow")
    world = WarmWorld(tmp_path, slow)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            slow.seconds = 100.0
            before = len(slow.looks)
            await asyncio.sleep(21600)
            assert ready(driver), reasons(driver)
            assert len(slow.looks) - before <= 21600 / 200 + 2

    run(main())


# --- lost and found ---


def test_a_hanging_check_costs_its_own_proof_and_no_other(tmp_path: Path) -> None:
    hanging = ScriptedCheck("hanging")
    world = WarmWorld(tmp_path, hanging)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            hanging.seconds = 1e9
            looks = len(world.smoke.looks)
            await asyncio.sleep(150)
            assert not ready(driver)
            assert reasons(driver).startswith("hanging: last proven ")
            assert len(document(driver)["reasons"]) == 1  # type: ignore[arg-type]
            assert len(world.smoke.looks) - looks >= 4, "the others go on"
            assert world.notes() == ["WarmReadinessLost"]
            assert "hanging: no answer for" in driver.engine.state.notes.warm.lost[0]
            hanging.seconds = 0.0
            await asyncio.sleep(1200)
            assert ready(driver), "a look that never ends is ended, and begun anew"
            assert world.notes() == ["WarmReadinessLost", "WarmReadinessFound"]
            assert driver.switch.condition is Condition.COMPLETED

    run(main())


def test_one_bad_look_is_told_at_once_and_not_put_on_record(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.smoke.bad = True
            await next_look(world.smoke)
            assert reasons(driver) == "orders: bad"
            world.smoke.bad = False
            await asyncio.sleep(120)
            assert ready(driver)
            assert world.notes() == []

    run(main())


def test_what_is_lost_is_on_record_once_and_so_is_what_is_found(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            for times in (1, 2):
                world.balancer.set_targets("blue", ILL)
                await asyncio.sleep(3600)
                assert driver.engine.state.notes.warm.environment == "blue"
                assert "0 of 1 targets of blue are healthy" in driver.engine.state.notes.warm.lost[0]
                assert document(driver)["lost_since"] is not None
                world.balancer.set_targets("blue", WELL)
                await asyncio.sleep(3600)
                assert world.notes() == ["WarmReadinessLost", "WarmReadinessFound"] * times
                assert not driver.engine.state.notes.warm.lost
            entries = await world.store.read("web")
            assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state
        assert world.shares("green") == [WHOLE], "nothing was moved"

    run(main())


def test_what_flaps_fills_no_journal(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            for turn in range(500):
                world.smoke.bad = turn % 2 == 0
                await next_look(world.smoke)
            assert world.notes() == []

    run(main())


def test_a_balancer_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            broken = world.balancer._file
            text = broken.read_text()
            broken.write_text("torn")
            await asyncio.sleep(60)
            assert "cannot be read" in reasons(driver)
            broken.write_text(text)
            await asyncio.sleep(120)
            assert ready(driver), reasons(driver)

    run(main())


def test_drift_is_no_way_back(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.balancer.set_weights({"blue": 10, "green": 90})
            await asyncio.sleep(60)
            assert not document(driver)["lawful"]
            assert "point: weights: shows blue 10% green 90%, the journal says" in reasons(driver)

    run(main())


def test_too_few_for_the_load_of_the_live_side_is_no_way_back(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            grown = tuple(Target(f"green-{n}", TargetState.HEALTHY) for n in range(10))
            world.balancer.set_targets("green", grown)
            await asyncio.sleep(60)
            assert reasons(driver) == "point: capacity: 1 healthy for the load of 10 in green, wanted 5"

    run(main())


def test_targets_that_nobody_checks_are_no_way_back_and_it_says_what_to_do(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.balancer.set_targets("blue", (Target("b", TargetState.UNUSED, "Target.NotInUse: attach it"),))
            await asyncio.sleep(60)
            assert "point: blue attached: no target of blue is in use there" in reasons(driver)
            told = [one for one in document(driver)["proofs"] if one["check"] == "point: blue attached"]  # type: ignore[attr-defined]
            assert told[0]["advice"] == "Target.NotInUse: attach it"

    run(main())


def test_a_check_that_breaks_ends_no_daemon(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.smoke.raises = RuntimeError("oh")
            await asyncio.sleep(60)
            assert reasons(driver) == "orders: a defect of bluegreen itself: RuntimeError: oh"
            world.smoke.raises = None
            await asyncio.sleep(90)
            assert ready(driver)

    run(main())


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_clock_that_is_set_loses_nothing_for_longer_than_a_look(tmp_path: Path, seconds: float) -> None:
    from tests.test_jumps import JumpingWorld

    class Both(JumpingWorld, WarmWorld):
        """Its clock is set, and its keepers run."""

    world = Both(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.clock.ahead += seconds
            await asyncio.sleep(60)
            assert ready(driver), reasons(driver)
            assert world.notes() == []

    run(main())


def test_a_full_disk_is_not_made_fuller_by_notes(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.store.trouble = Finding("journal", ok=False, summary="the disk is full")
            world.smoke.bad = True
            await asyncio.sleep(300)
            assert not ready(driver)
            assert world.notes() == []
            world.store.trouble = None
            await asyncio.sleep(300)
            assert world.notes() == ["WarmReadinessLost"]

    run(main())


# --- what is proven ---


def test_what_still_carries_traffic_is_the_way_back_in_mid_shift_and_is_not_smoked(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path, plan=Plan((), (50, WHOLE), None, 300.0, 3600.0))

    async def main() -> None:
        async with world.engine() as driver:
            assert document(driver)["environment"] is None
            await driver.deploy()
            await driver.until(lambda: driver.switch.awaiting_approval)
            await asyncio.sleep(100)
            assert (document(driver)["environment"], ready(driver)) == ("blue", True)
            assert "blue None" not in world.smoke.looks
            world.balancer.set_targets("blue", ILL)
            await asyncio.sleep(60)
            assert not ready(driver)
            world.balancer.set_targets("blue", WELL)
            await driver.ask("approve")
            await driver.until(lambda: driver.switch.phase is Phase.BAKE)
            await asyncio.sleep(50)
            assert ready(driver)
            assert "blue None" in world.smoke.looks, "from here on nobody else asks it anything"

    run(main())


def test_what_runs_there_must_still_be_what_was_deployed(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)
    world.digest = probe = ScriptedCheck("same artifact")

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            probe.bad = True
            await asyncio.sleep(90)
            assert reasons(driver) == "same artifact: bad"
            assert world.notes() == ["WarmReadinessLost"]

    run(main())


def test_what_is_not_warm_any_more_is_not_asked(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.smoke.bad = True
            await asyncio.sleep(120)
            assert driver.engine.state.notes.warm.lost
            await driver.ask("release")
            assert not driver.engine.state.notes.warm.lost, "there is nothing to be lost any more"
            looks = len(world.smoke.looks)
            await asyncio.sleep(3600)
            assert len(world.smoke.looks) == looks
            assert driver.engine.readiness == {}
            assert "no warm environment" in reasons(driver)

    run(main())


def test_a_restart_proves_anew_and_keeps_what_is_on_record(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.smoke.bad = True
            await asyncio.sleep(120)
        async with world.engine() as driver:
            assert not ready(driver)
            assert driver.engine.state.notes.warm.lost
            await asyncio.sleep(120)
            assert world.notes() == ["WarmReadinessLost"], "not once more"
            world.smoke.bad = False
        async with world.engine() as driver:
            await asyncio.sleep(120)
            assert ready(driver)
            assert world.notes() == ["WarmReadinessLost", "WarmReadinessFound"]

    run(main())


# --- a failback by fresh proofs ---


async def first_write(driver: Driver) -> float:
    """Seconds from a failback's request to its first change of weights."""
    loop, before = asyncio.get_running_loop(), len(driver.world.events(ev.WeightsSet))
    began = loop.time()
    await driver.failback()
    await driver.until(lambda: len(driver.world.events(ev.WeightsSet)) > before)
    return loop.time() - began


def proven(world: World) -> tuple[Finding, ...]:
    """What the last failback went by."""
    event = world.events(ev.WarmProven)[-1].event
    assert isinstance(event, ev.WarmProven)
    return event.findings


def test_a_failback_does_not_wait_for_what_was_proven_a_moment_ago(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    took = {}

    async def main(kept: bool) -> None:
        world = WarmWorld(tmp_path / str(kept))
        world.directory.mkdir()
        world.proving = kept
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            world.smoke.seconds = 5.0
            await asyncio.sleep(100)
            looks = len(world.smoke.looks)
            took[kept] = await first_write(driver)
            asked = len(world.smoke.looks) - looks
            assert asked == (0 if kept else 1)
            told = {finding.check: finding.summary for finding in proven(world)}
            assert ("; proven " in told["orders"]) is kept
            assert "; proven " not in told["point: blue healthy"], "health is always looked at"
            assert await driver.ended() is Condition.COMPLETED

    run(main(True))
    run(main(False))
    report_figures(f"to the first write of a failback: {took[True]:.1f} s, without fresh proofs {took[False]:.1f} s")
    assert took[True] < 1.0
    assert took[False] >= 5.0


def _another_release(driver: Driver) -> None:
    (one,) = driver.engine.readiness.values()
    assert one.subject is not None
    driver.engine.readiness["blue"] = replace(one, subject=replace(one.subject, version="v0"))


def _other_checks(driver: Driver) -> None:
    (one,) = driver.engine.readiness.values()
    assert one.subject is not None
    driver.engine.readiness["blue"] = replace(one, subject=replace(one.subject, config_hash="older"))


def _one_that_failed(driver: Driver) -> None:
    (one,) = driver.engine.readiness.values()
    bad = replace(one.proofs[-1], finding=Finding("else", ok=False, summary="bad"))
    driver.engine.readiness["blue"] = replace(one, proofs=(*one.proofs, bad))


def _none(driver: Driver) -> None:
    driver.engine.readiness.clear()


@pytest.mark.parametrize("spoil", [_another_release, _other_checks, _one_that_failed, _none])
def test_what_was_proven_of_something_else_is_proven_anew(tmp_path: Path, spoil: Callable[[Driver], None]) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            looks = len(world.smoke.looks)
            spoil(driver)
            await first_write(driver)
            assert len(world.smoke.looks) == looks + 1

    run(main())


@pytest.mark.parametrize("detail", [{}, {FOR_A_FAILBACK: "good until noon"}])
def test_what_only_keeps_a_deployment_from_beginning_keeps_no_way_back_from_being_ready(
    tmp_path: Path, detail: dict[str, str]
) -> None:
    world = WarmWorld(tmp_path)

    async def examine() -> tuple[Finding, ...]:
        return (Finding("point: credentials", ok=False, summary="they end too soon", detail=detail),)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.balancer.examine = examine  # type: ignore[method-assign]
            await asyncio.sleep(600)
            assert ready(driver) is bool(detail)
            assert document(driver)["reasons"] == ([] if detail else ["point: credentials: they end too soon"])
            (one,) = driver.engine.readiness.values()
            said = [proof.finding.summary for proof in one.proofs if proof.finding.check == "point: credentials"]
            assert said == (["good until noon"] if detail else ["they end too soon"])

    run(main())


def test_what_was_found_bad_since_it_was_proven_is_proven_anew(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            proven_before = driver.engine.readiness["blue"]
            _none(driver)
            world.smoke.bad = True
            await driver.failback()
            await driver.ended()
            await driver.ask("abort")
            driver.engine.readiness["blue"] = proven_before
            looks = len(world.smoke.looks)
            await driver.failback()
            assert await driver.ended() is Condition.HALTED, "the proof is less than a minute old"
            assert len(world.smoke.looks) > looks
            assert world.shares("green") == [WHOLE]

    run(main())


def test_an_old_proof_of_a_dear_check_is_not_enough_for_a_failback(tmp_path: Path) -> None:
    dear = ScriptedCheck("dear")
    dear.every = 3600.0
    world = WarmWorld(tmp_path, dear)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            await asyncio.sleep(600)
            assert ready(driver), "for the screen it is"
            asked = {check.name: len(check.looks) for check in (dear, world.smoke)}
            await first_write(driver)
            assert len(dear.looks) == asked["dear"] + 1
            assert len(world.smoke.looks) == asked["orders"]

    run(main())


def test_a_check_is_proven_by_itself_alone_whatever_its_name_is(tmp_path: Path) -> None:
    named = [ScriptedCheck(name) for name in ("release", "balancers", "weights", "capacity")]
    world = WarmWorld(tmp_path, *named)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            for check in named:
                check.bad = True
            await asyncio.sleep(120)
            assert [str(reason) for reason in document(driver)["reasons"]] == [f"{one.name}: bad" for one in named]  # type: ignore[attr-defined]
            await driver.failback()
            assert await driver.ended() is Condition.HALTED

    run(main())


def test_health_is_looked_at_live_whatever_was_proven(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.balancer.set_targets("blue", ILL)
            assert ready(driver), "nobody has looked yet"
            await driver.failback()
            assert await driver.ended() is Condition.HALTED
            assert world.shares("green") == [WHOLE]

    run(main())


def test_after_a_halt_everything_is_asked_again(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.balancer.set_targets("blue", ILL)
            await driver.failback()
            await driver.ended()
            world.balancer.set_targets("blue", WELL)
            await asyncio.sleep(120)
            looks = len(world.smoke.looks)
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED
            assert len(world.smoke.looks) > looks
            assert not any("; proven" in finding.summary for finding in proven(world))

    run(main())


def test_after_a_restart_everything_is_asked_again(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
        engine = world.new_engine()
        await engine.start()
        await world.driver(engine).failback()  # on record, and the process ends before it has done anything
        await engine.close()
        async with world.engine() as driver:
            assert await driver.ended() is Condition.COMPLETED
            assert not any("; proven" in finding.summary for finding in proven(world))

    run(main())


def test_a_lost_way_back_forbids_no_failback(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            world.smoke.bad = True
            await asyncio.sleep(300)
            assert driver.engine.state.notes.warm.lost
            assert driver.engine.state.last_warm() is not None, "it stays warm"
            world.smoke.bad = False
            await driver.failback()
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "blue"
            assert not driver.engine.state.notes.warm.lost

    run(main())


# --- giving it up ---


def test_a_warm_environment_is_not_given_up_without_the_word_and_a_reason(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            with pytest.raises(Refused, match=r"kept warm for a failback until .* --replace-warm and --reason"):
                await driver.deploy("v3")
            with pytest.raises(Refused, match="needs a reason"):
                await driver.fleet.deploy("web", "v3", replace(OPERATOR, reason=" "), replace_warm=True)
            await driver.deploy("v3", replace_warm=True)
            assert await driver.ended() is Condition.COMPLETED
            asked = [entry for entry in world.events(ev.Requested) if entry.event.replace_warm]  # type: ignore[attr-defined]
            assert [entry.record.reason for entry in asked] == [OPERATOR.reason]

    run(main())


def test_once_its_time_is_over_no_word_is_needed(tmp_path: Path) -> None:
    world = WarmWorld(tmp_path, plan=Plan((), (WHOLE,), 0.0, 0.0, 600.0))

    async def main() -> None:
        async with world.engine() as driver:
            await warmed(driver)
            await asyncio.sleep(700)
            await driver.deploy("v3")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
