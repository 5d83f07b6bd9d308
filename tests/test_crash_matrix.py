"""The crash matrix, cell by cell: docs/crash-matrix.md names them, this file proves them, in virtual time.

A cell is a step and a place in it: `a` before its intent is durable, `b` after that, `c` when its effect is there and
not on record, `d` on record. A process ends there for good, something may happen in the world while nobody looks, and
the next process goes on, or halts. `tests/kills` does the same to real processes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluegreen.balancers.memory import Fault
from bluegreen.core.phases import fold
from bluegreen.core.requests import Ask
from bluegreen.core.state import Switch
from bluegreen.errors import Unreachable
from bluegreen.model import WHOLE, Actor, Cause, Condition, Plan, Target, TargetState
from tests.fakes import Driver, World
from tests.faults.points import STEPS
from tests.faults.world import PointedWorld
from tests.virtual import run

DOCUMENT = Path(__file__).parent.parent / "docs" / "crash-matrix.md"
ASK = Ask(Actor("uid:1000(ann)"), "as the test says", "the-key", "the-digest")
AGAIN = Plan((), (500, WHOLE), 60.0, 300.0, 3600.0, deploy_again=True)
ONCE = Plan((), (500, WHOLE), 60.0, 300.0, 3600.0)


@dataclass(frozen=True)
class Cell:
    """`name` is what the document calls it. `between` is what happens while nobody looks; `mend` undoes it."""

    name: str
    point: str
    nth: int = 1
    scenario: str = "deployment"
    between: Callable[[World], None] = lambda _: None
    mend: Callable[[World], None] = lambda _: None
    halts: Cause | None = None
    plan: Plan = AGAIN


def lost_command(world: World) -> None:
    """The host was started anew: neither the deploy command nor its result is to be found."""
    for command in world.deployer.runs.values():
        command.gone = True


def gate_bad(world: World) -> None:
    world.gate.bad = True


def gate_good(world: World) -> None:
    world.gate.bad = False


def other_hand(world: World) -> None:
    world.balancer.set_weights({"blue": 3, "green": 1})


def hand_undone(world: World) -> None:
    world.balancer.set_weights({"blue": 500, "green": 500})


def hand_undone_at_blue(world: World) -> None:
    world.balancer.set_weights({"blue": 1, "green": 0})


def unreadable(world: World) -> None:
    world.balancer.faults.extend([Fault("read", Unreachable("gone"))] * 1000)


def readable(world: World) -> None:
    world.balancer.faults.clear()


def ill(environment: str) -> Callable[[World], None]:
    def fall(world: World) -> None:
        for balancer in world.balancers.values():
            balancer.set_targets(environment, (Target(environment, TargetState.UNHEALTHY),))

    return fall


def well(environment: str) -> Callable[[World], None]:
    def rise(world: World) -> None:
        for balancer in world.balancers.values():
            balancer.set_targets(environment, (Target(environment, TargetState.HEALTHY),))

    return rise


def around(row: int, intent: str, outcome: str, **more: object) -> list[Cell]:
    """The four plain cells of a step that has an intent and an outcome in the journal."""
    return [
        Cell(f"{row}a", f"journal.{intent}.before", **more),  # type: ignore[arg-type]
        Cell(f"{row}b", f"journal.{intent}.after", **more),  # type: ignore[arg-type]
        Cell(f"{row}c", f"journal.{outcome}.before", **more),  # type: ignore[arg-type]
        Cell(f"{row}d", f"journal.{outcome}.after", **more),  # type: ignore[arg-type]
    ]


INTENT = "journal.StepStarted:set_weights"
CELLS = [
    Cell("0a", "journal.Requested.before"),
    Cell("0c", "journal.Requested.after"),
    Cell("0d", "journal.StepStarted:preflight.before"),
    *around(1, "StepStarted:preflight", "PreflightPassed"),
    Cell("3a", "journal.StepStarted:deploy.before", plan=ONCE),
    Cell("3b idempotent", "journal.StepStarted:deploy.after"),
    Cell("3b once only", "journal.StepStarted:deploy.after", plan=ONCE),
    Cell("3c idempotent", "deployer.deploy.after"),
    Cell("3c once only", "deployer.deploy.after", plan=ONCE),
    Cell("3c lost, idempotent", "deployer.deploy.after", between=lost_command),
    Cell("3c lost, once only", "deployer.deploy.after", between=lost_command, halts=Cause.INTERRUPTED, plan=ONCE),
    Cell("3d", "journal.Deployed.after", plan=ONCE),
    *around(4, "StepStarted:wait_healthy", "BecameHealthy"),
    *around(5, "StepStarted:smoke", "SmokePassed"),
    Cell("6a", f"{INTENT}.before"),
    Cell("6a gate bad", f"{INTENT}.before", 3, between=gate_bad, mend=gate_good, halts=Cause.GATE_FAILED),
    Cell("6a candidate ill", f"{INTENT}.before", between=ill("green"), mend=well("green"), halts=Cause.UNHEALTHY),
    Cell("6b", f"{INTENT}.after"),
    Cell("6b gate bad", f"{INTENT}.after", 3, between=gate_bad, mend=gate_good, halts=Cause.GATE_FAILED),
    Cell("6b drift", f"{INTENT}.after", 3, between=other_hand, mend=hand_undone, halts=Cause.DRIFT),
    Cell("6c all changed", "balancer.write.after", 2),
    Cell("6c none changed", "balancer.write.before", 1),
    Cell("6c mixed", "balancer.write.after", 1),
    Cell("6c mixed, the second in doubt", "balancer.write.before", 2),
    Cell("6c mixed, gate bad", "balancer.write.after", 1, between=gate_bad, mend=gate_good, halts=Cause.GATE_FAILED),
    Cell("6c mixed, candidate ill", "balancer.write.after", between=ill("green"), mend=well("green"),
         halts=Cause.UNHEALTHY),
    Cell("6c neither", "balancer.write.after", 1, between=other_hand, mend=hand_undone, halts=Cause.DRIFT),
    Cell("6c unreadable", "balancer.write.after", 1, between=unreadable, mend=readable, halts=Cause.OUTCOME_UNKNOWN),
    Cell("6d", "journal.WeightsSet.after", 1),
    Cell("7a", "journal.WeightsSet.after", 2),
    Cell("7c", "journal.Watched.before"),
    Cell("7c candidate ill", "journal.Watched.before", between=ill("green"), mend=well("green"),
         halts=Cause.UNHEALTHY),
    Cell("7d", "journal.Watched.after"),
    Cell("7d step reached", "journal.StepReached.after"),
    Cell("8a", "journal.Shifted.after"),
    Cell("8c", "journal.Watched.before", 10),
    Cell("8c gate bad", "journal.Watched.before", 10, between=gate_bad, mend=gate_good, halts=Cause.GATE_FAILED),
    Cell("8d", "journal.Watched.after", 10),
    Cell("9a", "journal.Baked.before"),
    Cell("9d", "journal.Baked.after"),
    Cell("10a", "journal.KeptWarm.before"),
    Cell("10d", "journal.KeptWarm.after"),
    Cell("12a", "journal.Requested.before", scenario="failback"),
    Cell("12b", f"{INTENT}.after", scenario="failback"),
    Cell("12c all changed", "balancer.write.after", 2, "failback"),
    Cell("12c none changed", "balancer.write.before", 1, "failback"),
    Cell("12c mixed", "balancer.write.after", 1, "failback"),
    Cell("12c mixed, warm side ill", "balancer.write.after", 1, "failback", ill("blue"), well("blue"),
         Cause.PREFLIGHT_FAILED),
    Cell("12c mixed, gate bad", "balancer.write.after", 1, "failback", gate_bad, gate_good),
    Cell("12c neither", "balancer.write.after", 1, "failback", other_hand, hand_undone_at_blue,
         Cause.DRIFT),
    Cell("12c unreadable", "balancer.write.after", 1, "failback", unreadable, readable, Cause.OUTCOME_UNKNOWN),
    Cell("12d", "journal.WeightsSet.after", 1, "failback"),
    Cell("13a", "journal.StepStarted:preflight.before", scenario="failback"),
    Cell("13b", "journal.StepStarted:preflight.after", scenario="failback"),
    Cell("13c", "journal.WarmProven.before", scenario="failback"),
    Cell("13c bad", "journal.WarmProven.before", 1, "failback", ill("blue"), well("blue"), Cause.PREFLIGHT_FAILED),
    Cell("13d", "journal.WarmProven.after", scenario="failback"),
    Cell("14b", "journal.Halted.before", scenario="halt", halts=Cause.CHECK_FAILED),
    Cell("14c", "journal.Halted.after", scenario="halt", halts=Cause.CHECK_FAILED),
    Cell("14d", "journal.Resumed.before", scenario="halt", halts=Cause.CHECK_FAILED),
]  # fmt: skip
NAMES = [cell.name for cell in CELLS]


@pytest.mark.parametrize("cell", CELLS, ids=NAMES)
def test_the_cell(tmp_path: Path, cell: Cell) -> None:
    world = PointedWorld(tmp_path, points=("eu", "us"), plan=cell.plan)

    async def request(driver: Driver) -> Switch:
        if cell.scenario == "failback":
            return await driver.fleet.failback("web", None, ASK)
        return await driver.fleet.deploy("web", "v2", ASK)

    async def act(driver: Driver) -> None:
        await request(driver)
        if cell.name == "14d":
            await driver.ended()
            await driver.ask("resume")

    async def main() -> None:
        if cell.scenario == "failback":
            async with world.engine() as driver:
                await driver.deploy()
                assert await driver.ended() is Condition.COMPLETED
        world.smoke.bad = cell.scenario == "halt"
        await world.a_life(cell.point, cell.nth, act)
        written = [len(balancer.writes) for balancer in world.balancers.values()]
        cell.between(world)
        async with world.engine() as driver:
            known = driver.engine.state.keys.get(ASK.key or "")
            again = await request(driver)  # the client had no answer, and asks once more
            assert known is None or known[1] == again.id
            await settle(world, driver, cell, await driver.ended(), written)
        await laws(world, cell, driver)

    run(main())


async def settle(world: World, driver: Driver, cell: Cell, ended: Condition, written: list[int]) -> None:
    """As the matrix says: to the end, or a halt that holds everything until a person has mended it and said so."""
    if cell.halts is None:
        assert ended is Condition.COMPLETED, driver.switch.halt
        return
    assert ended is Condition.HALTED
    assert driver.switch.halt is not None
    assert driver.switch.halt.cause is cell.halts, driver.switch.halt
    assert [len(balancer.writes) for balancer in world.balancers.values()] == written, "a halt holds everything"
    cell.mend(world)
    world.smoke.bad = False
    await driver.engine.observe()
    await driver.ask("resume")
    assert await driver.ended() is Condition.COMPLETED, driver.switch.halt


async def laws(world: World, cell: Cell, driver: Driver) -> None:
    """What holds in every cell."""
    to = "blue" if cell.scenario == "failback" else "green"
    for name, balancer in world.balancers.items():
        shares = [weights.share("green") for weights in balancer.writes]
        if cell.scenario != "failback":
            assert shares == sorted(shares), "no traffic moves back but by an operator's failback"
            assert shares == [500, 1000], "nothing is written twice, nothing is left out"
        assert (await balancer.read()).share(to) == WHOLE, name
    entries = await world.store.read("web")
    assert fold("web", tuple(entry.record for entry in entries)) == driver.engine.state
    assert len({entry.record.switch for entry in entries if entry.record.key == ASK.key}) == 1


def test_the_plan_of_a_failback_is_the_same_for_the_same_facts_also_after_a_restart(tmp_path: Path) -> None:
    world = PointedWorld(tmp_path, points=("eu", "us"), plan=AGAIN)

    async def main() -> None:
        async with world.engine() as driver:
            await driver.deploy()
            await driver.ended()
            shown = await driver.fleet.failback_plan("web")
        async with world.engine() as driver:
            assert await driver.fleet.failback_plan("web") == shown

    run(main())


# --- the document ---


def cells_of_the_document() -> dict[str, str]:
    """`6c` -> its text, from the table."""
    found = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| (\d+) [^|]*\|", line):
            columns = line.strip().strip("|").split("|")[1:]
            found.update({f"{row[1]}{letter}": text for letter, text in zip("abcd", columns, strict=True)})
    return found


def test_the_document_has_every_cell_and_each_is_proven_or_says_why_it_is_not_there() -> None:
    cells = cells_of_the_document()
    assert sorted(cells) == sorted(f"{row}{letter}" for row in range(15) for letter in "abcd")
    proven = {re.match(r"\d+[abcd]", name)[0] for name in NAMES}  # type: ignore[index]
    for name, text in cells.items():
        if text.strip().startswith("–"):
            assert len(text.split()) > 2, f"{name} does not say why there is no such thing"
        elif name not in proven:
            (place, test) = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)[0]
            assert f"def {test}(" in (DOCUMENT.parent.parent / place).read_text(), name


def test_the_document_names_every_variation() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def test_every_step_of_the_engine_has_a_row() -> None:
    passed = {cell.point.partition(":")[2].rpartition(".")[0] for cell in CELLS if ":" in cell.point}
    assert passed | {"shift"} == set(STEPS) | {"shift"}
