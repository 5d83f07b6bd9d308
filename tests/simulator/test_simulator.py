"""Ten thousand histories in every run of the tests; `make simulate N=100000 SEED=0` for more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.invariants import Law
from tests.simulator.history import simulate
from tests.simulator.many import report, simulate_many, told
from tests.simulator.mutants import MUTANTS, Mutant
from tests.simulator.weather import Fault

HISTORIES = 10_000
FAULTS_A_RUN, FAULT_TIMES = 3, 50
"""A run of the tests with less trouble than this has proven nothing."""
MUTANT_SEEDS = 600


@pytest.mark.slow
@pytest.mark.xdist_group("histories")
@pytest.mark.timeout(4800)
def test_no_history_breaks_a_law(report_figures: Callable[[str], None]) -> None:
    tally = simulate_many(HISTORIES, first=0)
    report_figures(report(tally))
    assert tally.violations == []
    assert tally.histories == HISTORIES
    assert sum(tally.struck.values()) / HISTORIES >= FAULTS_A_RUN
    assert {fault for fault in Fault if tally.struck[fault] < FAULT_TIMES} == set()
    assert tally.runs_with_needless / HISTORIES <= 0.01


def test_no_history_of_a_few_breaks_a_law() -> None:
    for seed in range(15):
        simulate(seed)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught_by_its_law(mutant: Mutant) -> None:
    caught = []
    for seed in range(MUTANT_SEEDS):
        with mutant.planted():
            try:
                simulate(seed)
            except BaseException as error:
                caught.append(told(error))
        if any(what.startswith(f"law {law}: ") for what in caught[-1:] for law in mutant.laws):
            return
    pytest.fail(f"{MUTANT_SEEDS} histories did not catch it by {mutant.laws}; seen: {sorted(set(caught))[:5]}")


def test_every_law_has_a_planted_bug() -> None:
    of_the_core = {Law.ONE_SWITCH, Law.TOTAL}  # planted in tests/core/test_mutants.py
    assert {law for mutant in MUTANTS for law in mutant.laws} | of_the_core == set(Law)


@pytest.mark.slow
def test_the_same_seed_is_the_same_history_in_this_process_and_in_another() -> None:
    seeds = range(40)
    first = [simulate(seed).digest for seed in seeds]
    assert [simulate(seed).digest for seed in seeds] == first
    program = f"from tests.simulator.history import simulate\nfor s in {seeds!r}: print(simulate(s).digest)"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.split() == first
    assert len(set(first)) == len(first)
