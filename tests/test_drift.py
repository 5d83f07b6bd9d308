"""Another hand at the balancer: it is seen, said, and never overwritten but by an operator's order. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.control.documents import service
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.drift import UNREAD_SECONDS_MAX
from bluegreen.core.requests import Restore
from bluegreen.core.restoring import WORD_SECONDS_MAX
from bluegreen.core.state import Point, ServiceState
from bluegreen.errors import AccessDenied, OutcomeUnknown, Refused, Rejected, StateMoved, Throttled, Unreachable
from bluegreen.model import Cause, Condition, Finding, Phase, Target, TargetState, Weights
from bluegreen.ports import Scene
from bluegreen.steps import restore
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

OTHER = {"blue": 70, "green": 30}
BLUE = {"blue": 100, "green": 0}


class Crash(BaseException):
    """The process is gone: nothing that comes after happens."""


class Darkened(MemoryBalancer):
    """Cannot be reached while `dark`; `wrong` is what it says for certain; `meddle` is what happens beside a look."""

    dark = False
    wrong = ""
    meddle: Mapping[str, int] | None = None

    async def read(self) -> Weights:
        self._gone()
        return await super().read()

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        self._gone()
        found = await super().targets()
        if self.meddle is not None:
            self.set_weights(self.meddle)
        return found

    async def write(self, expected: Weights, target: Weights) -> None:
        self._gone()
        await super().write(expected, target)

    def _gone(self) -> None:
        if self.dark:
            raise Unreachable("no answer")
        if self.wrong:
            raise Rejected(self.wrong)


def darkened(directory: Path, points: tuple[str, ...] = ("point",)) -> tuple[World, dict[str, Darkened]]:
    world = World(directory, points=points)
    made = {name: Darkened(name, world.environments, directory / f"{name}.json", None) for name in points}
    world.balancers = dict(made)
    return world, made


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def drifted(driver: Driver, *points: str, weights: Mapping[str, int] = OTHER) -> None:
    """Another hand changes the points, and that is seen."""
    named = points or driver.world.points
    for name in named:
        driver.world.balancers[name].set_weights(weights)
    await driver.until(lambda: set(driver.engine.state.drift) >= set(named))


async def carried_out(driver: Driver) -> None:
    await driver.until(lambda: driver.engine.state.restore is None)


def told(world: World) -> list[str]:
    return [type(entry.event).__name__ for entry in world.published if "Restore" in type(entry.event).__name__]


# --- restore ---


def test_a_restore_writes_what_the_journal_says_by_one_write_with_intent_and_outcome(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            await driver.ask("restore")
            await carried_out(driver)
            assert (await driver.shown()).same_split(Weights.of(BLUE))
            assert not driver.engine.state.drift
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert told(world) == ["RestoreAsked", "RestoreStarted", "Restored"]
    [asked] = world.events(ev.RestoreAsked)
    assert (asked.record.by, asked.record.reason) == (str(OPERATOR.actor), OPERATOR.reason)
    assert asked.event == ev.RestoreAsked({"point": Weights.of(OTHER)})


def test_a_halted_switch_stays_halted_after_a_restore_and_goes_on_when_told(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            await drifted(driver)
            assert await driver.ended() is Condition.HALTED
            with pytest.raises(Refused, match="bluegreen restore web"):
                await driver.ask("resume")
            await driver.ask("restore")
            await carried_out(driver)
            await asyncio.sleep(1000)
            assert driver.switch.condition is Condition.HALTED
            assert (await driver.shown()).share("green") == 50
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 50, 500, 1000]


def test_a_restore_is_refused_without_drift_without_a_reason_and_while_a_switch_runs(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            with pytest.raises(Refused, match="nothing to restore"):
                await driver.ask("restore")
            await driver.deploy()
            with pytest.raises(Refused, match="weights change while it goes on"):
                await driver.ask("restore")

    run(main())


def test_what_the_operator_was_not_shown_is_not_overwritten(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            shown = [drift.id for drift in driver.engine.state.drift.values()]
            world.balancer.set_weights({"blue": 1, "green": 1})
            with pytest.raises(StateMoved, match="no longer shows what you were shown"):
                await driver.ask("restore")  # names none: those on record when it came are meant
            with pytest.raises(StateMoved, match="no longer shows what you were shown"):
                await driver.fleet.ask("web", "restore", OPERATOR, drift=shown)
            with pytest.raises(StateMoved, match="no longer shows what you were shown"):
                await driver.fleet.ask("web", "leave", OPERATOR, drift=shown)

    run(main())
    assert world.balancer.writes == []


def test_a_change_in_the_last_instant_is_a_new_drift_and_nothing_is_written(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            drift = driver.engine.state.drift["point"]
            points["point"].meddle = {"blue": 1, "green": 3}  # between the look at health and the write
            request = Restore(drift=frozenset({drift.id}), reason="as the test says")
            await driver.engine.submit(request, OPERATOR)
            await carried_out(driver)
            await driver.until(lambda: driver.engine.state.drift["point"].id != drift.id)
            assert driver.engine.state.drift["point"].seen == Weights.of({"blue": 1, "green": 3})

    run(main())
    assert points["point"].writes == []
    [refused] = world.events(ev.RestoreRefused)
    assert "nothing was written" in refused.event.summary  # type: ignore[attr-defined]


def test_no_environment_gains_a_share_without_enough_healthy_targets(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.balancer.set_targets("blue", (Target("blue", TargetState.UNHEALTHY, "refused"),))
            await drifted(driver)
            await driver.ask("restore")
            await carried_out(driver)
            document = service(driver.engine, world.clock.now())["drift"][0]
            assert "0 of 1 targets of blue are healthy" in document["refused"]
            world.balancer.set_targets("blue", (Target("blue", TargetState.HEALTHY),))
            await driver.ask("restore")
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())
    [refused] = world.events(ev.RestoreRefused)
    assert [finding.ok for finding in refused.event.findings] == [False]  # type: ignore[attr-defined]
    assert len(world.balancer.writes) == 1


@pytest.mark.parametrize("error", [Unreachable("gone"), Throttled("slow"), AccessDenied("no"), Rejected("bad")])
def test_a_write_that_surely_was_not_made_is_tried_once_and_said(world: World, error) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            world.balancer.faults.append(Fault("write", error))
            await driver.ask("restore")
            await carried_out(driver)
            assert "nothing was changed" in driver.engine.state.drift["point"].refused

    run(main())
    assert world.balancer.writes == []


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_lost_answer_is_looked_up_and_never_sent_again_on_a_guess(world: World, made: bool) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            world.balancer.faults.append(Fault("write", OutcomeUnknown("cut"), after_effect=made))
            await driver.ask("restore")
            await carried_out(driver)
            assert bool(driver.engine.state.drift) is not made

    run(main())
    assert len(world.balancer.writes) == int(made)
    assert told(world) == ["RestoreAsked", "RestoreStarted", "RestoreLost", "Restored" if made else "RestoreUnmade"]


def test_a_lost_answer_of_a_balancer_that_goes_dark_stays_unknown_until_it_can_be_read(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            points["point"].faults.append(Fault("write", OutcomeUnknown("cut"), after_effect=True))
            await driver.ask("restore")
            await driver.until(lambda: bool(world.events(ev.RestoreLost)))
            points["point"].dark = True
            await driver.until(lambda: bool(world.events(ev.RestoreUnread)))
            document = service(driver.engine, world.clock.now())
            assert document["unknown"] == document["restore"]["unknown"] == ["point"]
            for verb in ("restore", "leave"):
                with pytest.raises(Refused, match="it is not known what became of a restoring write"):
                    await driver.ask(verb)
            with pytest.raises(Refused):
                await driver.deploy()
            points["point"].dark = False
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())
    [restored] = world.events(ev.Restored)
    assert restored.event.recovered  # type: ignore[attr-defined]
    assert len(points["point"].writes) == 1


def test_every_point_is_tried_and_a_failure_at_one_leaves_no_other_unsaid(tmp_path: Path) -> None:
    world, points = darkened(tmp_path, ("eu", "us", "ap"))

    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            points["us"].faults.append(Fault("write", Rejected("not now")))
            await driver.ask("restore")
            await carried_out(driver)
            assert list(driver.engine.state.drift) == ["us"]

    run(main())
    assert {name: len(one.writes) for name, one in points.items()} == {"eu": 1, "us": 0, "ap": 1}


def test_a_drift_is_restored_while_another_point_cannot_be_read(tmp_path: Path) -> None:
    world, points = darkened(tmp_path, ("eu", "us"))

    async def main() -> None:
        async with world.engine() as driver:
            points["us"].dark = True
            await drifted(driver, "eu")
            await driver.ask("restore")
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())
    assert len(points["eu"].writes) == 1


# --- crashes ---


async def _crash_in_a_restore(world: World, fault: Fault) -> None:
    async def life() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            world.balancer.faults.append(fault)
            await driver.ask("restore")
            await carried_out(driver)

    try:
        await life()
    except* Crash:
        pass


@pytest.mark.parametrize("made", [True, False], ids=["after the write", "before the write"])
def test_a_crash_in_a_restore_is_looked_up_and_goes_on_while_the_word_is_fresh(world: World, made: bool) -> None:
    async def main() -> None:
        await _crash_in_a_restore(world, Fault("write", Crash(), made))  # type: ignore[arg-type]
        await asyncio.sleep(60)
        async with world.engine() as driver:
            await carried_out(driver)
            assert not driver.engine.state.drift
            assert (await driver.shown()).same_split(Weights.of(BLUE))

    run(main())
    assert len(world.balancer.writes) == 1
    after = ["Restored"] if made else ["RestoreUnmade", "RestoreStarted", "Restored"]
    assert told(world) == ["RestoreAsked", "RestoreStarted", *after]


@pytest.mark.parametrize("made", [True, False], ids=["after the write", "before the write"])
def test_after_a_crash_an_old_word_writes_nothing_and_that_is_said(world: World, made: bool) -> None:
    async def main() -> None:
        await _crash_in_a_restore(world, Fault("write", Crash(), made))  # type: ignore[arg-type]
        await asyncio.sleep(WORD_SECONDS_MAX + 60)
        async with world.engine() as driver:
            await carried_out(driver)
            await asyncio.sleep(60)
            drift = driver.engine.state.drift
            assert bool(drift) is not made
            assert made or "older than 15 minutes" in drift["point"].refused

    run(main())
    assert len(world.balancer.writes) == int(made)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("entry", range(3))
def test_a_crash_at_any_entry_of_a_restore_is_recovered_from(world: World, entry: int, durable: bool) -> None:
    original = world.store.append
    count = iter(range(-1, 100))

    async def append(service_, expected, records):
        if any("Restore" in type(one.event).__name__ for one in records) and next(count) + 1 == entry:
            world.store.faults.append((Crash(), durable))
        return await original(service_, expected, records)

    async def first() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            world.store.append = append  # type: ignore[method-assign]
            await driver.ask("restore")
            await carried_out(driver)

    async def main() -> None:
        try:
            await first()
        except* Crash:
            pass
        world.store.append = original  # type: ignore[method-assign]
        world.store.faults.clear()
        async with world.engine() as driver:
            await asyncio.sleep(100)
            asked = entry > 0 or durable
            assert driver.engine.state.restore is None
            assert bool(driver.engine.state.drift) is not asked

    run(main())
    assert len(world.balancer.writes) == int(entry > 0 or durable)


# --- leave ---


def test_leaving_writes_nothing_is_on_record_and_ends_the_alarm_until_something_changes(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            await driver.ask("leave")
            [document] = service(driver.engine, world.clock.now())["drift"]
            assert document["left"]["by"] == str(OPERATOR.actor)
            assert document["left"]["reason"] == OPERATOR.reason
            with pytest.raises(Refused, match="left as it is by uid:1000"):
                await driver.deploy()
            with pytest.raises(Refused, match="already"):
                await driver.ask("leave")
            await drifted_again(driver, {"blue": 1, "green": 1})
            assert driver.engine.state.drift["point"].left is None
            world.balancer.set_weights(BLUE)
            await driver.until(lambda: not driver.engine.state.drift)

    run(main())
    assert world.balancer.writes == []


async def drifted_again(driver: Driver, weights: Mapping[str, int]) -> None:
    before = driver.engine.state.drift["point"].id
    driver.world.balancer.set_weights(weights)
    await driver.until(lambda: driver.engine.state.drift["point"].id != before)


def test_what_was_left_can_still_be_restored_or_adopted(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            await driver.ask("leave")
            await driver.ask("restore")
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())


def test_a_split_that_gives_nobody_traffic_is_drift_is_restored_and_never_adopted(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver, weights={"blue": 0, "green": 0})
            with pytest.raises(Refused, match="no weight for anybody"):
                await driver.ask("adopt")
            await driver.ask("restore")
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())


def test_another_environments_traffic_by_another_hand_forbids_an_abort(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.bad = True
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            await drifted(driver)
            with pytest.raises(Refused, match="somebody else gave green 30%"):
                await driver.ask("abort")
            await driver.ask("restore")
            await carried_out(driver)
            await driver.ask("abort")

    run(main())


def test_a_drift_that_the_look_before_a_deployment_finds_can_be_answered_at_once(tmp_path: Path) -> None:
    world, _ = darkened(tmp_path)

    async def changed_meanwhile(_: Scene) -> tuple[Finding, ...]:
        world.balancer.set_weights({"blue": 3, "green": 1})
        return ()

    world.deployer.examine = changed_meanwhile  # type: ignore[method-assign, assignment]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.HALTED
            halt = driver.switch.halt
            assert halt is not None
            assert (halt.phase, halt.cause) == (Phase.DEPLOY, Cause.DRIFT)
            await asyncio.sleep(1)
            assert set(driver.engine.state.drift) == {"point"}, "not with the next look, in 15 s"
            await driver.ask("restore")
            await driver.until(lambda: driver.engine.state.restore is None)
            assert (await driver.shown()).share("blue") == 1000

    run(main())


# --- seen in every phase; unreadable is unknown ---


@pytest.mark.parametrize("phase", ["smoke", "wait", "approval", "bake"])
def test_drift_is_seen_within_one_look_in_phases_that_write_nothing(tmp_path: Path, phase: str) -> None:
    world, _ = darkened(tmp_path)
    if phase == "approval":
        world.plan = type(world.plan)(world.points, (50, 1000), None, 300.0, 3600.0)

    async def main() -> None:
        async with world.engine() as driver:
            if phase == "smoke":
                world.smoke.look = _forever  # type: ignore[method-assign, assignment]
            await driver.deploy()
            reached = {
                "smoke": lambda: driver.switch.phase == "smoke",
                "wait": lambda: driver.engine.state.share("green") == 50,
                "approval": lambda: driver.switch.awaiting_approval,
                "bake": lambda: driver.switch.phase == "bake",
            }
            await driver.until(reached[phase])
            await asyncio.sleep(20)
            began = asyncio.get_running_loop().time()
            world.balancer.set_weights({"blue": 3, "green": 1})
            await driver.until(lambda: driver.switch.condition is Condition.HALTED)
            assert asyncio.get_running_loop().time() - began <= 15.0
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.DRIFT
            assert "point shows blue 75% green 25%, expected was" in halt.summary
            assert "as it still did at 12:" in halt.summary

    run(main())


async def _forever(_: object):
    await asyncio.Event().wait()


@pytest.mark.parametrize("phase", ["wait", "bake"])
def test_an_unreadable_point_halts_a_running_switch_after_a_limit_and_is_never_called_drift(
    tmp_path: Path, phase: str
) -> None:
    world, points = darkened(tmp_path, ("eu", "us"))
    world.plan = type(world.plan)(world.points, (50, 1000), 600.0, 600.0, 3600.0)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.engine.state.share("green") == (50 if phase == "wait" else 1000))
            await asyncio.sleep(100)
            began = asyncio.get_running_loop().time()
            points["us"].dark = True
            await driver.until(lambda: driver.switch.condition is Condition.HALTED)
            assert UNREAD_SECONDS_MAX <= asyncio.get_running_loop().time() - began <= UNREAD_SECONDS_MAX + 40
            halt = driver.switch.halt
            assert halt is not None
            assert halt.cause is Cause.BALANCER_UNREACHABLE
            assert "us cannot be read since 2026-01-01 12:" in halt.summary
            assert not driver.engine.state.drift

    run(main())


def test_a_short_silence_of_a_balancer_halts_nothing_and_its_time_does_not_count(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.phase == "bake")
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(30)
            points["point"].dark = True
            await asyncio.sleep(60)
            points["point"].dark = False
            assert await driver.ended() is Condition.COMPLETED
            assert asyncio.get_running_loop().time() - began >= world.plan.bake_seconds + 58

    run(main())


def test_what_a_balancer_says_for_certain_in_place_of_weights_is_drift_and_halts_at_once(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            points["point"].wrong = "the listener is gone"
            assert await driver.ended() is Condition.HALTED
            await driver.until(lambda: bool(driver.engine.state.drift))
            document = service(driver.engine, world.clock.now())["drift"][0]
            assert (document["shown"], document["what"]) == (None, "the listener is gone")
            with pytest.raises(Refused, match="no weights can be written there"):
                await driver.ask("restore")
            with pytest.raises(Refused, match="cannot be read"):
                await driver.ask("adopt")
            points["point"].wrong = ""
            await driver.until(lambda: not driver.engine.state.drift)
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())


# --- the hand itself ---


class Stubborn(MemoryBalancer):
    """Cannot express a split, cuts the answer, and shows one read after the other."""

    answers: tuple[Mapping[str, int], ...] = ()
    error: Exception | None = None
    settle = 5.0

    def native(self, split: Weights) -> Weights:
        raise Rejected("whole numbers only")

    async def read(self) -> Weights:
        first, *rest = self.answers
        self.answers = (*rest, first)
        return Weights.of(first)

    async def write(self, expected: Weights, target: Weights) -> None:
        if self.error is not None:
            raise self.error


def stubborn(directory: Path, *answers: Mapping[str, int]) -> tuple[World, Stubborn]:
    world = World(directory)
    balancer = Stubborn("point", world.environments, directory / "point.json", None)
    balancer.answers = answers
    world.balancers = {"point": balancer}
    return world, balancer


STEP = st.Restore("point", Weights.of(OTHER), Weights.of(BLUE))
LOOK = st.LookUpRestore("point", Weights.of(OTHER), Weights.of(BLUE))


def test_a_balancer_that_cannot_express_the_split_is_given_the_numbers_that_it_showed(tmp_path: Path) -> None:
    world, _ = stubborn(tmp_path, BLUE)
    known = Weights.of({"blue": 3, "green": 1})
    state = ServiceState("web", points={"point": Point(known, known)})
    step = st.Restore("point", Weights.of(OTHER), known)
    assert restore.intent(step, state, world.open(world.setup())).target == known


@pytest.mark.parametrize(
    ("answers", "kind", "seconds"),
    [
        ([{"blue": 1, "green": 2}], ev.RestoreRefused, 5),
        ([OTHER], ev.RestoreUnmade, 5),
        ([BLUE], ev.Restored, 0),
        ([BLUE, OTHER], ev.RestoreUnread, 65),
    ],
    ids=["neither", "not made", "made", "no two reads agree"],
)
def test_a_look_up_waits_for_two_equal_reads_and_for_what_lags(tmp_path: Path, answers, kind, seconds: int) -> None:
    world, _ = stubborn(tmp_path, *answers)

    async def main() -> tuple[ev.Event, float]:
        outcome = await restore.look_up(LOOK, world.open(world.setup()), world.clock)
        return outcome, asyncio.get_running_loop().time()

    outcome, took = run(main())
    assert isinstance(outcome, kind)
    assert seconds <= took <= seconds + 1


def test_an_acknowledged_write_that_is_not_shown_is_lost_and_not_done(tmp_path: Path) -> None:
    world, _ = stubborn(tmp_path, OTHER)
    outcome = run(restore.run(STEP, STEP.target, world.open(world.setup())))
    assert isinstance(outcome, ev.RestoreLost)
    assert "shows blue 70% green 30%" in outcome.reason


def test_health_that_cannot_be_read_gives_nobody_traffic(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)
    points["point"].dark = True
    outcome = run(restore.run(STEP, STEP.target, world.open(world.setup())))
    assert isinstance(outcome, ev.RestoreRefused)
    assert "health cannot be read" in outcome.summary


def test_a_point_that_left_the_configuration_is_said_and_not_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    ports = replace(world.open(world.setup()), balancers={})
    for hand in (restore.run(STEP, STEP.target, ports), restore.look_up(LOOK, ports, world.clock)):
        outcome = run(hand)
        assert isinstance(outcome, ev.RestoreRefused)
        assert "no longer configured" in outcome.summary


def test_a_defect_in_a_restore_is_an_unknown_outcome_that_is_looked_up(world: World) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            world.balancer.faults.append(Fault("write", ZeroDivisionError("bug"), after_effect=True))  # type: ignore[arg-type]
            await driver.ask("restore")
            await carried_out(driver)
            assert not driver.engine.state.drift

    run(main())
    assert told(world) == ["RestoreAsked", "RestoreStarted", "RestoreUnread", "RestoreLost", "Restored"]
    assert "a defect of bluegreen itself" in world.events(ev.RestoreUnread)[0].event.reason  # type: ignore[attr-defined]


def test_a_second_order_is_refused_while_the_first_is_carried_out(tmp_path: Path) -> None:
    world, points = darkened(tmp_path)

    async def main() -> None:
        async with world.engine() as driver:
            await drifted(driver)
            points["point"].faults.append(Fault("write", OutcomeUnknown("cut"), after_effect=True))
            points["point"].settle = 30.0
            await driver.ask("restore")
            with pytest.raises(Refused, match="being restored, as uid:1000"):
                await driver.ask("restore")
            with pytest.raises(Refused, match="being restored, as uid:1000"):
                await driver.ask("adopt")
            await carried_out(driver)

    run(main())
    assert len(points["point"].writes) == 1
