"""The daemon is ended at every named failpoint and at random instants, under load; `make kill N=1000` for more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.nursery import nursery
from tests.kills.failpoints import Harness
from tests.kills.harness import kill_many
from tests.kills.stage import stage

KILLS = int(os.environ.get("KILLS", "0"))
"""0: what every run of the tests can afford."""
RANDOM = 100

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load"), pytest.mark.timeout(7200)]


async def test_a_kill_at_any_failpoint_loses_no_entry_no_request_and_not_the_truth(
    short: Path, report_figures: Callable[[str], None]
) -> None:
    async with stage(short) as there, nursery(there.config, there.socket) as lives:
        harness = Harness(there, lives, "kill")
        places = await harness.places(seldom=1000 if KILLS else 1)
        rounds = max(KILLS // 2, len(places))
        await harness.end_at_each([places[number % len(places)] for number in range(rounds)])
    report_figures(harness.tally.report(there.figures()))
    harness.tally.nothing_is_wrong(there.figures())
    assert harness.tally.mixed, "splits were mixed"
    assert harness.tally.in_doubt, "writes were in doubt"
    assert set(harness.tally.ends) == {"completed"}


async def test_a_stop_at_any_failpoint_puts_the_call_in_flight_on_record_and_ends_in_time(
    short: Path, report_figures: Callable[[str], None]
) -> None:
    async with stage(short) as there, nursery(there.config, there.socket) as lives:
        harness = Harness(there, lives, "term")
        places = await harness.places(seldom=1)
        once = list({place.point: place for place in reversed(places)}.values())
        await harness.end_at_each(places if KILLS else sorted(once, key=places.index))
    report_figures(harness.tally.report(there.figures()))
    harness.tally.nothing_is_wrong(there.figures())


async def test_a_kill_at_any_instant_loses_no_entry_no_request_and_not_the_truth(
    short: Path, report_figures: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("KILLS_SEED", "1"))
    async with stage(short) as there, nursery(there.config, there.socket) as lives:
        tally = await kill_many(there, lives, max(RANDOM, KILLS - KILLS // 2), seed)
    report_figures(f"seed {seed}: {tally.report(there.figures())}")
    tally.nothing_is_wrong(there.figures())
    assert tally.kills.total() >= RANDOM
    assert tally.ends == {"completed": 1}
