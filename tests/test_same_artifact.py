"""Same artifact: what was given at deploy runs there, or everything stops; another answer gains no traffic."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.checks.digest import DigestCheck
from bluegreen.config.flags import DigestProbe
from bluegreen.core import events as ev
from bluegreen.core.state import Halt
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Cause, Condition, Finding, Phase, Plan
from bluegreen.ports import Scene
from tests.checks.servers import no_targets
from tests.fakes import OPERATOR, Driver, World
from tests.virtual import run

GIVEN = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
NOT_GIVEN = f"green runs {OTHER}, not {GIVEN} which was given at deploy"


class Side(DigestCheck):
    """The real probe, asking environments that say what the test has them say; None: they do not answer."""

    def __init__(self, every: str = "5s", attempts: int = 1) -> None:
        config = DigestProbe.model_validate({"http": "http://unused", "every": every, "attempts": attempts})
        super().__init__(config, no_targets)
        self.says: dict[str, str | None] = {"blue": GIVEN, "green": GIVEN}
        self.asked: list[str] = []
        self.turns_at = 0
        """The question from which on green says something else; 0: none."""

    async def _once(self, scene: Scene) -> tuple[str, dict[str, str]]:
        self.asked.append(scene.environment)
        if self.turns_at and len(self.asked) >= self.turns_at:
            self.says["green"] = OTHER
        said = self.says[scene.environment]
        if said is None:
            raise TimeoutError
        return said, {}


@pytest.fixture
def probe() -> Side:
    return Side()


@pytest.fixture
def world(tmp_path: Path, probe: Side) -> World:
    return World(tmp_path, digest=probe)


async def deploy(driver: Driver, artifact: str | None = GIVEN) -> None:
    await driver.fleet.deploy("web", "v2", OPERATOR, artifact)


def halt_of(driver: Driver) -> Halt:
    assert driver.switch.halt is not None
    return driver.switch.halt


async def halted_by_it(driver: Driver, phase: Phase, summary: str = NOT_GIVEN, cause: Cause = Cause.WRONG_ARTIFACT):
    """Halted in that phase with exactly these words, and stays so."""
    assert await driver.ended() is Condition.HALTED
    halt = halt_of(driver)
    assert (halt.phase, halt.cause, halt.summary) == (phase, cause, f"digest: {summary}")
    await asyncio.sleep(10_000)
    assert driver.switch.condition is Condition.HALTED


def test_the_right_artifact_is_asked_for_at_smoke_before_each_share_and_in_each_wait(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.at(50)
            assert len(probe.asked) == 2, "once at smoke, once before the first share"
            assert await driver.ended() is Condition.COMPLETED
            told = driver.engine.state.notes.artifacts.told["green"]
            assert (told.runs, told.given, told.same) == (GIVEN, GIVEN, True)

    run(main())
    assert set(probe.asked) == {"green"}
    assert len(probe.asked) >= (60 + 60 + 300) / 5


def test_another_artifact_after_deploy_halts_before_any_traffic_and_cannot_be_accepted(
    world: World, probe: Side
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            probe.says["green"] = OTHER
            world.smoke.bad = True
            await deploy(driver)
            assert await driver.ended() is Condition.HALTED
            halt = halt_of(driver)
            assert halt.cause is Cause.WRONG_ARTIFACT
            assert halt.summary == f"digest: {NOT_GIVEN} (and 1 more)", "every check has its finding"
            with pytest.raises(Refused, match="digest cannot be accepted: it keeps the traffic safe"):
                await driver.ask("accept", check="digest")
            world.smoke.bad = False
            await driver.ask("resume")
            await halted_by_it(driver, Phase.SMOKE)
            probe.says["green"] = GIVEN
            await driver.ask("resume")
            assert await driver.ended() is Condition.COMPLETED

    run(main())
    assert world.shares("green") == [50, 500, 1000]


def test_another_artifact_in_the_middle_of_a_wait_halts_at_once(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.at(50)
            await asyncio.sleep(7)
            probe.says["green"] = OTHER
            began = asyncio.get_running_loop().time()
            assert await driver.ended() is Condition.HALTED
            assert asyncio.get_running_loop().time() - began <= 5
            await halted_by_it(driver, Phase.SHIFT)

    run(main())
    assert world.shares("green") == [50]


def test_another_artifact_between_two_switch_points_gets_no_share_at_the_second(tmp_path: Path) -> None:
    """Asked at smoke, before the first write, and before the second."""
    probe = Side()
    probe.turns_at = 3
    world = World(tmp_path, digest=probe, points=("eu", "us"))

    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            mixed = f"{NOT_GIVEN}; green has 5% at eu, 0% at us"
            await halted_by_it(driver, Phase.SHIFT, mixed)

    run(main())
    assert world.shares("green") == [50]
    assert world.balancers["us"].writes == []


def test_another_artifact_while_an_approval_is_awaited_halts_and_gets_no_share_by_it(tmp_path: Path) -> None:
    probe = Side()
    world = World(tmp_path, digest=probe, plan=Plan((), (50, 500, WHOLE), None))

    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.until(lambda: driver.switch.awaiting_approval)
            probe.says["green"] = OTHER
            await halted_by_it(driver, Phase.SHIFT)

    run(main())
    assert world.shares("green") == [50]


def test_another_artifact_in_the_bake_halts(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.at(WHOLE)
            await driver.until(lambda: driver.switch.phase is Phase.BAKE)
            probe.says["green"] = OTHER
            await halted_by_it(driver, Phase.BAKE)

    run(main())


def test_another_artifact_while_an_operator_has_it_paused_halts(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.at(50)
            await driver.ask("pause")
            probe.says["green"] = OTHER
            await halted_by_it(driver, Phase.SHIFT)

    run(main())


def test_no_answer_is_no_match_at_smoke_and_a_person_may_go_past_it(tmp_path: Path) -> None:
    probe = Side(attempts=3)
    world = World(tmp_path, digest=probe)

    async def main() -> None:
        async with world.engine() as driver:
            probe.says["green"] = None
            await deploy(driver)
            what = "green does not say which artifact it runs: no answer within 5 s (3 attempts)"
            await halted_by_it(driver, Phase.SMOKE, what, Cause.CHECK_FAILED)
            assert len(probe.asked) == 3
            await driver.ask("accept", check="digest")
            await driver.at(50)
            probe.says["green"] = OTHER  # what was accepted is that nobody answers, not this
            await halted_by_it(driver, Phase.SHIFT)
            with pytest.raises(Refused, match="cannot be accepted"):
                await driver.ask("accept", check="digest")

    run(main())
    assert world.shares("green") == [50]


def test_one_lost_answer_in_a_wait_is_nothing_and_two_in_a_row_are_a_halt(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            await driver.at(50)
            await asyncio.sleep(1)
            asked = len(probe.asked)
            probe.says["green"] = None
            while len(probe.asked) == asked:  # noqa: ASYNC110 - the probe has no event of its own
                await asyncio.sleep(0.5)
            probe.says["green"] = GIVEN
            await driver.at(500)
            probe.says["green"] = None
            what = "green does not say which artifact it runs: no answer within 5 s"
            await halted_by_it(driver, Phase.SHIFT, what, Cause.GATE_FAILED)

    run(main())
    assert world.shares("green") == [50, 500]


def test_nothing_given_at_deploy_is_told_and_compared_with_nothing(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver, artifact=None)
            assert await driver.ended() is Condition.COMPLETED
            told = driver.engine.state.notes.artifacts.told["green"]
            assert told.summary == f"green runs {GIVEN}; nothing was given to compare with"
            assert (told.runs, told.same) == (GIVEN, None)

    run(main())


def test_another_artifact_on_the_warm_side_stops_a_failback_and_a_person_may_go_past_it(
    world: World, probe: Side
) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            for version, side in (("v1", "green"), ("v2", "blue")):
                await driver.fleet.deploy("web", version, OPERATOR, GIVEN, replace_warm=True)
                assert await driver.ended() is Condition.COMPLETED
                assert driver.engine.state.live == side
            probe.says["green"] = OTHER
            await driver.failback()
            await halted_by_it(driver, Phase.PREFLIGHT)
            assert driver.engine.state.live == "blue"
            await driver.ask("accept", check="digest")  # what to fail back to is a person's to judge
            assert await driver.ended() is Condition.COMPLETED
            assert driver.engine.state.live == "green"
            assert driver.engine.state.notes.artifacts.told["green"].same is False

    run(main())


def test_a_deployment_forgets_what_its_environment_said_before(world: World, probe: Side) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await deploy(driver)
            assert await driver.ended() is Condition.COMPLETED
            await driver.fleet.deploy("web", "v3", OPERATOR, GIVEN, replace_warm=True)
            assert await driver.ended() is Condition.COMPLETED
            world.deployer.hang = True
            await driver.fleet.deploy("web", "v4", OPERATOR, GIVEN, replace_warm=True)
            await driver.until(lambda: driver.switch.phase is Phase.DEPLOY and driver.switch.open is not None)
            assert list(driver.engine.state.notes.artifacts.told) == ["blue"]
            await driver.ask("abort")

    run(main())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(st.tuples(st.floats(0.0, 200.0), st.sampled_from([OTHER, None, GIVEN])), min_size=1, max_size=6),
    answers=st.lists(st.sampled_from(["resume", "promote", "accept"]), max_size=4),
)
def test_no_traffic_is_gained_while_another_artifact_answers(
    tmp_path: Path, turns: list[tuple[float, str | None]], answers: list[str]
) -> None:
    """Whatever the environment says when, and whatever operators answer: law 5, for artifacts."""
    directory = tmp_path / str(hash((tuple(turns), tuple(answers))))
    directory.mkdir(exist_ok=True)
    probe = Side()
    world = World(directory, digest=probe)
    gained: list[tuple[int, str | None]] = []

    async def turning() -> None:
        for after, says in turns:
            await asyncio.sleep(after)
            probe.says["green"] = says

    async def main() -> None:
        async with world.engine() as driver, asyncio.TaskGroup() as group:
            turner = group.create_task(turning())
            watcher = group.create_task(_shares(driver, probe, gained))
            await deploy(driver)
            for answer in answers:
                await asyncio.sleep(100)
                await _answered(driver, answer)
            await asyncio.sleep(800)
            turner.cancel()
            watcher.cancel()

    run(main())
    for balancer in world.balancers.values():
        shares = [weights.share("green") for weights in balancer.writes]
        assert shares == sorted(shares), "and none is ever taken back"
    assert all(says != OTHER for _, says in gained), gained
    halted = False
    for entry in world.published:
        halted = _is_wrong(entry.event) or (halted and not isinstance(entry.event, ev.Resumed | ev.Promoted))
        assert not (halted and isinstance(entry.event, ev.WeightsSet))


async def _shares(driver: Driver, probe: Side, gained: list[tuple[int, str | None]]) -> None:
    share = 0
    while True:
        version = driver.engine.state.version
        if (now := driver.engine.state.share("green")) > share:
            gained.append((now, probe.says["green"]))
            share = now
        await driver.engine.changed(version)


async def _answered(driver: Driver, answer: str) -> None:
    try:
        await driver.ask(answer, **({"check": "digest"} if answer == "accept" else {}))
    except Refused:
        return


def _is_wrong(event: ev.Event) -> bool:
    return isinstance(event, ev.Halted) and event.cause is Cause.WRONG_ARTIFACT


def test_a_finding_says_it_in_words() -> None:
    """The words of an operator's screen, one for each answer."""

    async def say(said: str | None, artifact: str | None) -> Finding:
        probe = Side()
        probe.says["green"] = said
        return await probe.look(Scene("web", "green", "v2", artifact))

    async def main() -> None:
        assert (await say(GIVEN, GIVEN)).summary == f"green runs {GIVEN}, as given"
        wrong = await say(OTHER, GIVEN)
        assert (wrong.ok, wrong.acceptable, wrong.summary) == (False, False, NOT_GIVEN)
        assert wrong.advice == f"find out what brought {OTHER} to green; deploy the right one again"
        silent = await say(None, GIVEN)
        assert (silent.ok, silent.acceptable) == (False, True)
        nothing = await say(None, None)
        assert nothing.ok
        assert "nothing was given to compare with" in nothing.summary

    run(main())
