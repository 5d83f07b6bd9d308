"""Switch points that could not be read for long, on record."""

from __future__ import annotations

from bluegreen.core import events as ev
from bluegreen.core.notes.silence import BalancerSilent
from bluegreen.core.phases import apply
from tests.builders import at, make_plan, record, state_after


def test_what_leaves_the_configuration_is_silent_no_more() -> None:
    state = state_after("", make_plan(points=("a", "b")))
    for point in ("a", "b"):
        state = apply(state, record(BalancerSilent(point, at(0), "no connection"), switch=None, seconds=400))
    assert state.notes.silence.lasting == {"a", "b"}
    state = apply(state, record(ev.PointForgotten("a"), switch=None, seconds=500))
    assert state.notes.silence.lasting == {"b"}
