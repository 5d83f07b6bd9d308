"""No power cut takes back what was acknowledged; and the test can see it where one does."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.core.events import Record
from tests.store.disk import Connection
from tests.store.power_loss import Careless, history, look
from tests.store.test_sqlite import a_record

STATES, CONTROL_STATES = 2000, 300


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory where there is one: two thousand journals are written there and read once."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as directory:
        yield Path(directory)


def lives(seed: int) -> list[list[list[Record]]]:
    """Three lives of a daemon: small entries and large ones, alone and together, over several checkpoints."""
    chance, number, made = random.Random(seed), 0, []
    for length in (30, 200, 40):
        appends = []
        for _ in range(length):
            records = []
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                number += 1
                size = chance.choice((10, 100, 200, 2000, 12_000))
                records.append(replace(a_record(number), reason="x" * size))
            appends.append(records)
        made.append(appends)
    return made


@pytest.mark.slow
async def test_no_power_cut_loses_an_acknowledged_entry(
    tmp_path: Path, memory: Path, report_figures: Callable[[str], None]
) -> None:
    done = await history(tmp_path, lives(1), Connection)
    tally = await look(memory, done, STATES, seed=1)
    syncs = sum(op.call == "sync" for op in done.ops)
    report_figures(
        f"power cuts: {tally.states} states of {len(done.ops)} operations ({len(done.hashes)} entries, {syncs} syncs), "
        f"{tally.acknowledged} times acknowledged, {tally.lost} lost, {tally.unreadable} chains broken, "
        f"{tally.in_flight} states with the append in flight"
    )
    assert tally.wrong == []
    assert (tally.lost, tally.unreadable) == (0, 0)
    assert tally.in_flight, "an append in flight is often there: a history without one looks at too little"


@pytest.mark.slow
async def test_the_power_cuts_find_a_journal_that_is_not_synced(
    tmp_path: Path, memory: Path, report_figures: Callable[[str], None]
) -> None:
    done = await history(tmp_path, lives(1), Careless)
    tally = await look(memory, done, CONTROL_STATES, seed=1)
    report_figures(
        f"power cuts with synchronous=OFF: {tally.states} states, {tally.states_with_loss} with a loss, "
        f"{tally.lost} of {tally.acknowledged} lost, {tally.unreadable} chains broken"
    )
    assert tally.states_with_loss > CONTROL_STATES // 4
