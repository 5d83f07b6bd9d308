"""The evidence of a halt is sealed within seconds, whatever hangs, and before a way on is offered. Virtual time."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bluegreen.aws import Where
from bluegreen.balancers.memory import Fault
from bluegreen.config.load import load, service_json
from bluegreen.control import documents
from bluegreen.core import events as ev
from bluegreen.core.notes.evidence import EvidenceSealed, Sealed
from bluegreen.engine import ServiceEngine
from bluegreen.errors import AccessDenied, NotWritten, Unreachable
from bluegreen.evidence import identity, sources
from bluegreen.evidence.keeper import SEAL_SECONDS, EvidenceKeeper
from bluegreen.evidence.vault import Vault
from bluegreen.model import Condition, Finding, Phase
from bluegreen.ports import Scene
from bluegreen.standalone import Standalone
from tests.fakes import OPERATOR, Driver, ScriptedCheck, World
from tests.virtual import run

EXAMPLE = Path(__file__).parents[2] / "config" / "bluegreen.yaml"
CONFIG = json.dumps({"service": "web"})


async def at_once(call: Callable[..., str], *given: Any) -> str:
    """There are no threads in virtual time."""
    return call(*given)


class Compared(ScriptedCheck):
    """Good on the environments of `good`; hangs where it is told to."""

    def __init__(self, name: str, good: str = "") -> None:
        super().__init__(name)
        self.good, self.hangs_on, self.raises_on = good, "", ""

    async def look(self, scene: Scene) -> Finding:
        self.looks.append(f"{scene.environment} {scene.version}")
        if scene.environment == self.hangs_on:
            await asyncio.sleep(10_000)
        if scene.environment == self.raises_on:
            raise ZeroDivisionError
        ok = scene.environment in self.good
        return Finding(self.name, ok=ok, summary="good" if ok else "status 500", detail={"body": "no database"})


class Kept(World):
    """A world whose engines keep evidence."""

    hanging: Mapping[str, sources.Source] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vault = Vault(self.directory / "state")
        (self.directory / "state").mkdir(exist_ok=True)
        self.smoke = Compared("orders")
        self.keeper: EvidenceKeeper | None = None

    def new_engine(self, card: Any = None) -> ServiceEngine:
        self.keeper = EvidenceKeeper(self.vault, self.store, self.clock, self._identity, lambda: set(), at_once)
        engine = ServiceEngine(
            self.setup(), self.store, self.clock, self, self.published.append, lambda: f"{next(self.ids):06}", 15.0,
            card, (self.keeper.run,),
        )  # fmt: skip
        engine.gathering = self.keeper
        return engine

    async def _identity(self, config: str) -> Mapping[str, Any]:
        return {"aws": "arn:aws:iam::1:role/deployer"}

    @property
    def sealed(self) -> list[EvidenceSealed]:
        return [entry.event for entry in self.published if isinstance(entry.event, EvidenceSealed)]

    def part(self, name: str) -> Any:
        return json.loads(self.vault.part(self.sealed[-1].digest, name))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    made = Kept(tmp_path)
    monkeypatch.setattr(sources, "all_of", lambda config: {**sources.SOURCES, **made.hanging})
    return made


async def halted(driver: Driver) -> None:
    await driver.deploy()
    assert await driver.ended() is Condition.HALTED
    await driver.until(lambda: bool(driver.engine.state.notes.evidence.bundles))


def options(driver: Driver) -> list[Mapping[str, Any]]:
    return list(documents.service(driver.engine, driver.world.clock.now())["options"])


def test_a_failback_without_a_daemon_that_halts_ends_when_its_evidence_is_kept(world: Kept) -> None:
    """Nobody else is there to keep it: the operator's process is the last one that saw it."""
    world.smoke.good = "blue green"  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            assert await driver.ended() is Condition.COMPLETED
        world.smoke.good = "green"  # type: ignore[attr-defined]
        engine = world.new_engine()
        await engine.start()
        alone = Standalone(world.driver(engine).fleet, lambda: asyncio.sleep(0))
        await alone.service("web")
        plan = await alone.failback_plan("web")
        assert plan["lawful"]
        switch = await alone.failback("web", plan=plan["plan"], reason="5xx")
        assert (switch["kind"], switch["condition"]) == ("failback", "halted")
        assert [sealed.halt for sealed in world.sealed] == [switch["halt"]["id"]]

    run(main())
    assert world.shares("blue")[-1] == 0, "nothing was moved"


def test_a_halt_is_sealed_with_everything_that_there_is_to_know(world: Kept) -> None:
    world.smoke.good = "blue"  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            halt = driver.switch.halt
            assert halt is not None
            (sealed,) = world.sealed
            assert (sealed.halt, sealed.late, sealed.missing) == (halt.id, False, {})
            assert world.vault.manifest(sealed.digest)["changed"] == []
            assert world.part("weights.json")["point"]["asked"] == {"blue": "100%", "green": "0%"}
            assert world.part("weights.json")["point"]["on the balancer"] == {"blue": 100, "green": 0}
            assert world.part("findings.json")["findings"][0]["detail"] == {"body": "no database"}
            assert [one["kind"] for one in world.part("journal.json")][-1] == "Halted"
            assert world.part("releases.json")["environments"]["green"]["version"] == "v2"
            assert world.part("credentials.json")["provider"]["aws"].endswith("deployer")
            assert world.part("people.json")["requested by"] == OPERATOR.actor.name

    run(main())


def test_the_failed_check_is_asked_of_the_live_side_at_the_same_moment(world: Kept) -> None:
    check = world.smoke
    assert isinstance(check, Compared)

    async def main() -> None:
        async with world.engine() as driver:
            check.good = "blue"
            await halted(driver)
            check.good = ""
            await driver.ask("resume")
            await driver.until(lambda: len(world.sealed) == 2)
            check.good = "bluegreen"
        good, bad = world.sealed
        assert good.conclusions == ("orders is good on blue: the check itself works, the fault is green's",)
        assert bad.conclusions[0].startswith("orders fails on blue too (status 500)")
        assert check.looks.count("blue None") == 2

    run(main())


def test_where_what_failed_fails_on_the_live_side_too_nobody_is_sent_to_the_candidate(world: Kept) -> None:
    def advice(driver: Driver) -> str:
        return str(documents.service(driver.engine, world.clock.now())["switch"]["halt"]["advice"])

    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.good = "blue"  # type: ignore[attr-defined]
            await halted(driver)
            assert advice(driver).startswith("find out why on green")
            world.smoke.good = ""  # type: ignore[attr-defined]
            await driver.ask("resume")
            await driver.until(lambda: len(world.sealed) == 2)
            assert advice(driver).startswith("it fails on the live side too")
            world.smoke.good = "bluegreen"  # type: ignore[attr-defined]

    run(main())


def test_a_failback_is_said_to_mend_nothing_where_a_gate_fails_on_both_sides(world: Kept) -> None:
    world.smoke.good, world.gate = "bluegreen", (gate := Compared("errors", "bluegreen"))  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(50)
            gate.good = ""
            assert await driver.ended() is Condition.HALTED
            await driver.until(lambda: bool(world.sealed))
            back = next(one for one in options(driver) if one["verb"] == "failback")
            assert back["risk"].startswith("what failed fails on blue too: a failback does not mend that; ")
            gate.good = "bluegreen"

    run(main())


def test_a_gate_that_hangs_takes_nothing_else_with_it(world: Kept) -> None:
    world.gate = gate = Compared("errors", "green")
    gate.hangs_on, world.smoke.good = "green", "blue"  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
        assert "gates" not in world.sealed[0].missing
        (now,) = world.part("gates.json")["now"]
        assert (now["ok"], now["summary"]) == (False, "no answer within 6 s")
        assert world.part("gates.json")["signs of life"]

    run(main())


@pytest.mark.parametrize(
    ("trouble", "said"), [("hangs", "no answer within 6 s"), ("raises", "no answer (ZeroDivisionError)")]
)
def test_a_live_side_that_gives_no_answer_is_nothing_to_compare_with(world: Kept, trouble: str, said: str) -> None:
    check = world.smoke
    assert isinstance(check, Compared)
    if trouble == "hangs":
        check.hangs_on = "blue"
    else:
        check.raises_on = "blue"

    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
        assert world.sealed[0].conclusions == (f"orders gave {said} on blue: nothing to compare with",)

    run(main())


def test_what_each_gate_found_in_its_last_looks_is_kept_as_a_series(world: Kept) -> None:
    world.gate = gate = Compared("errors", "green")
    world.smoke.good = "bluegreen"  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            while len(driver.engine.recent.get("errors", ())) < 5:  # noqa: ASYNC110 - looks are not events
                await asyncio.sleep(1)
            gate.good = ""
            assert await driver.ended() is Condition.HALTED
            await driver.until(lambda: bool(driver.engine.state.notes.evidence.bundles))
        series = world.part("gates.json")["recent"]["errors"]
        assert [one["ok"] for one in series] == [True] * (len(series) - 1) + [False]
        assert len(series) >= 6
        assert series[-1]["summary"] == "status 500"
        assert [one["at"] for one in series] == sorted(one["at"] for one in series)

    run(main())


def test_whatever_hangs_the_bundle_is_sealed_in_time_and_says_what_is_missing(world: Kept) -> None:
    async def hangs(scene: sources.Scene) -> Any:
        await asyncio.sleep(10_000)

    async def fails(scene: sources.Scene) -> Any:
        raise OSError("no such place")

    world.hanging = dict.fromkeys((*sources.SOURCES, "command-logs"), hangs) | {"host": fails}

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            before = asyncio.get_running_loop().time()
            await driver.until(lambda: bool(world.sealed))
            assert asyncio.get_running_loop().time() - before <= SEAL_SECONDS
            (sealed,) = world.sealed
            assert set(sealed.missing) == set(world.hanging)
            assert sealed.missing["host"] == "OSError: no such place"
            assert "within 7 s" in sealed.missing["command-logs"]

    run(main())


def test_no_way_on_is_offered_and_no_answer_is_taken_before_the_evidence_is_kept(world: Kept) -> None:
    check = world.smoke
    assert isinstance(check, Compared)

    async def main() -> None:
        async with world.engine() as driver:
            check.hangs_on = "blue"  # the comparison takes its time
            await driver.deploy()
            await driver.ended()
            assert not [one for one in options(driver) if one["lawful"]]
            document = documents.service(driver.engine, world.clock.now())["switch"]["evidence"]
            assert document == {"state": "gathering", "halt": driver.switch.halt and driver.switch.halt.id}
            check.good = "green"
            await driver.ask("resume")  # it waits, and is not refused
            assert len(world.sealed) == 1
            kinds = [type(entry.event) for entry in world.published]
            assert kinds.index(EvidenceSealed) < kinds.index(ev.Resumed)
            assert await driver.ended() is Condition.COMPLETED

    run(main())


def test_no_way_on_is_offered_while_the_bundle_is_not_yet_on_record(world: Kept) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            sound = driver.engine.note

            async def slow(*given: Any) -> None:
                await asyncio.sleep(5)
                await sound(*given)

            driver.engine.note = slow  # type: ignore[method-assign, assignment]
            world.smoke.good = "blue"  # type: ignore[attr-defined]
            await driver.deploy()
            await driver.ended()
            evidence = ""
            while evidence != "sealed":
                evidence = documents.service(driver.engine, world.clock.now())["switch"]["evidence"]["state"]
                assert bool([one for one in options(driver) if one["lawful"]]) is (evidence == "sealed")
                await asyncio.sleep(0.1)

    run(main())


def test_a_failback_waits_for_the_evidence_no_longer_than_two_seconds(world: Kept) -> None:
    check = world.smoke
    assert isinstance(check, Compared)
    check.good = "bluegreen"

    async def hangs(scene: sources.Scene) -> Any:
        await asyncio.sleep(10_000)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.at(500)
            world.hanging = {"gates": hangs}
            world.gate.bad = True
            await driver.ended()
            before = asyncio.get_running_loop().time()
            await driver.failback()
            assert asyncio.get_running_loop().time() - before < 3
            assert await driver.ended() is Condition.COMPLETED
            assert (await driver.shown()).share("blue") == 1000

    run(main())


def test_a_process_that_finds_a_halt_without_evidence_gathers_it_and_says_that_it_is_late(world: Kept) -> None:
    async def main() -> None:
        world.smoke.hangs_on = "blue"  # type: ignore[attr-defined]
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
        assert world.sealed == [], "it ended before the bundle was sealed"
        world.smoke.hangs_on = ""  # type: ignore[attr-defined]
        async with world.engine() as driver:
            await driver.ended()
            await driver.until(lambda: bool(world.sealed))
            assert [one.late for one in world.sealed] == [True]
        world.published.clear()
        async with world.engine() as driver:
            await asyncio.sleep(100)
            assert world.sealed == [], "once is enough"

    run(main())


def test_evidence_that_cannot_be_kept_is_said_and_holds_up_nobody(world: Kept) -> None:
    (world.directory / "state" / "evidence").write_text("no folder")

    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            (sealed,) = world.sealed
            assert sealed.digest == ""
            assert "nothing could be kept" in sealed.error
            assert documents.service(driver.engine, world.clock.now())["switch"]["evidence"]["state"] == "lost"
            assert [one["verb"] for one in options(driver) if one["lawful"]]

    run(main())


def test_a_journal_without_room_keeps_nobody_from_answering(world: Kept) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            sound = driver.engine.note

            async def full(*_: Any) -> None:
                raise NotWritten("no room")

            driver.engine.note = full  # type: ignore[method-assign, assignment]
            await driver.deploy()
            await driver.ended()
            await asyncio.sleep(SEAL_SECONDS)
            driver.engine.note = sound  # type: ignore[method-assign]
            assert [one["verb"] for one in options(driver) if one["lawful"]]

    run(main())


def test_the_journal_remembers_only_so_many_bundles(world: Kept) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            await halted(driver)
            evidence = driver.engine.state.notes.evidence
            halt = driver.switch.halt
            assert halt is not None
            assert isinstance(evidence.bundles[halt.id], Sealed)
            assert evidence.of_switch(driver.switch.id) == (halt.id,)
            assert evidence.of_switch("another") == ()
            assert replace(evidence) == evidence

    run(main())


def test_a_halt_after_the_traffic_has_moved_is_compared_with_nothing_but_asked_again(world: Kept) -> None:
    world.smoke.good = "bluegreen"  # type: ignore[attr-defined]

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.until(lambda: driver.switch.phase is Phase.BAKE)
            world.gate.bad = True
            await driver.ended()
            await driver.until(lambda: bool(world.sealed))
            assert driver.engine.state.live == "green"
        assert world.sealed[0].conclusions == ("errors was asked again of green: bad",)

    run(main())


def test_where_it_is_not_known_who_is_live_there_is_nothing_to_compare_with(world: Kept) -> None:
    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.good = "blue"  # type: ignore[attr-defined]
            await halted(driver)
            state, switch = driver.engine.state, driver.switch
            assert switch.halt is not None
            scene = sources.Scene(replace(state, live=None), switch, switch.halt, driver.engine.ports(), world.store,
                                  world.clock, world.directory, "", (), {}, nobody)  # fmt: skip
            told = await sources.checks_on_live(scene)
            assert told["conclusions"] == ["it is not known which environment is live: nothing to compare with"]

    run(main())


async def nobody() -> Mapping[str, Any]:
    return {}


async def test_who_the_provider_says_we_are_is_kept_and_where_it_does_not_say_why() -> None:
    [service] = [one for one in load(EXAMPLE).services.values() if one.switch_points[0].kind == "elbv2"]
    config = service_json(service)

    class Told:
        """Stands for aws.Sessions."""

        denied = False

        async def identity(self, where: Where, timeout: float) -> str:
            if self.denied:
                raise AccessDenied("no such role")
            return f"arn of {where.region}"

        def expires(self, where: Where) -> str | None:
            return None

    told = Told()
    good = await identity.of(config, told)  # type: ignore[arg-type]
    assert [one["identity"].startswith("arn of ") for one in good.values()] == [True] * len(good)
    told.denied = True
    failed = await identity.of(config, told)  # type: ignore[arg-type]
    assert failed.keys() == good.keys()
    assert all("no such role" in one["error"] for one in failed.values())


def test_what_cannot_be_read_and_who_has_no_name_are_said(world: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242424242)

    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.good = "blue"  # type: ignore[attr-defined]
            await driver.deploy()
            await driver.ended()
            world.balancer.faults.extend([Fault("targets", Unreachable("gone"))] * 5)
            await driver.until(lambda: bool(world.sealed))
        assert "gone" in world.part("targets.json")["point"]["error"]
        assert (world.part("credentials.json")["user"], world.part("credentials.json")["uid"]) == ("", 4242424242)

    run(main())


def test_a_source_that_does_not_even_end_when_it_is_told_to_holds_up_nobody(world: Kept) -> None:
    async def stubborn(scene: sources.Scene) -> Any:
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            await asyncio.sleep(10_000)

    async def main() -> None:
        async with world.engine() as driver:
            world.smoke.good = "blue"  # type: ignore[attr-defined]
            world.hanging = {"stubborn": stubborn}
            await halted(driver)
            assert "stubborn" in world.sealed[0].missing

    run(main())
