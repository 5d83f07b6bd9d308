"""A hundred real kills in every run of the tests; `make kill N=1000` for more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kills.harness import kill_many, report


@pytest.mark.slow
@pytest.mark.xdist_group("load")
@pytest.mark.timeout(3600)
async def test_no_kill_loses_an_entry_a_request_or_the_truth(
    tmp_path: Path, report_figures: Callable[[str], None]
) -> None:
    kills, seed = int(os.environ.get("KILLS", "100")), int(os.environ.get("KILLS_SEED", "1"))
    tally = await kill_many(tmp_path, kills, seed)
    report_figures(f"seed {seed}: {report(tally)}")
    assert tally.figures is not None
    assert tally.kills == kills
    assert tally.lost == 0
    assert tally.unsaid == []
    assert tally.figures.failed == 0
    assert tally.ends == {"completed": 1}, "no kill leads to a needless halt"
