"""How long a way is expected to take: only by what was measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bluegreen.core.durations import RUNS_MAX, expected, measured, span
from bluegreen.core.halts import options
from bluegreen.core.state import Operation, ServiceState, Switch
from bluegreen.model import WHOLE, Condition, Kind
from tests.builders import DEPLOYED, SHIFTING, START, at, make_plan, state_after, the_switch


def _run(seconds: float, condition: Condition = Condition.COMPLETED) -> Switch:
    """A deployment whose deploy command took so long, and which then waited for an hour."""
    done = Operation("deploy", "done", START + timedelta(seconds=seconds), since=START)
    late = Operation("smoke", "done", START + timedelta(hours=1, seconds=2), since=START + timedelta(hours=1))
    return replace(the_switch(state_after("requested")), condition=condition, operations=(done, late))


def _past(*runs: Switch) -> ServiceState:
    return replace(state_after(""), past=runs)


def test_it_is_the_median_of_each_step_without_the_waits_between_them():
    state = _past(_run(10), _run(20), _run(600))
    assert measured(state, Kind.DEPLOYMENT).seconds == {"deploy": 20.0, "smoke": 2.0}
    found = expected(state, Kind.DEPLOYMENT, ["deploy", "smoke"], 60.0)
    assert (found.seconds, found.words) == (82.0, "about 82 s, by the last 3 runs (planned waits: 60 s)")


def test_without_an_earlier_run_it_is_unknown_and_says_so():
    for state in (_past(), _past(_run(10, Condition.ABORTED)), _past(_run(10))):
        found = expected(state, Kind.DEPLOYMENT, ["deploy", "set_weights"], 60.0)
        assert found.seconds is None
        assert found.words.startswith("unknown: no earlier run")
    assert expected(_past(_run(10)), Kind.FAILBACK, ["deploy"], 0.0).seconds is None, "of the same kind of way"


def test_only_the_last_runs_count():
    old, new = [_run(1000)] * 30, [_run(10)] * RUNS_MAX
    assert measured(_past(*old, *new), Kind.DEPLOYMENT).seconds["deploy"] == 10.0


def test_only_what_was_done_and_whose_beginning_is_known_counts():
    run = _run(10)
    lost = Operation("deploy", "lost", at(900), since=START)
    unknown = Operation("deploy", "done", at(900))
    put_back = Operation("deploy", "done", START, since=at(900))  # the clock was set back meanwhile
    odd = replace(run, operations=(lost, unknown, put_back, *run.operations))
    assert measured(_past(odd), Kind.DEPLOYMENT).seconds == {"deploy": 10.0, "smoke": 2.0}


def test_an_approval_is_never_counted_and_is_said():
    found = expected(_past(_run(10)), Kind.DEPLOYMENT, ["deploy"], 0.0, approval=True)
    assert found.words == "about 10 s, by the last run (and a person's approval)"


def test_the_ways_are_told_with_it():
    plan = make_plan()
    state = state_after(f"{DEPLOYED} released {SHIFTING} set:50 stopped")
    shown = {one.verb: one for one in options(state, ("blue", "green"), at(0), plan, make_plan(steps=(WHOLE,), bake=0))}
    resume, promote, failback = shown["resume"], shown["promote"], shown["failback"]
    assert resume.seconds is not None
    assert promote.seconds is not None
    assert resume.seconds > promote.seconds >= plan.bake_seconds
    assert resume.seconds - promote.seconds >= 120, "two planned waits"
    assert failback.duration == "unknown: no earlier run"
    assert (shown["hold"].seconds, shown["hold"].duration) == (None, "for as long as you like")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2 h"), (864_000, "10 days")]
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, words: str):
    assert span(seconds) == words
