"""An operator's order about a drift, as its entries are folded: what no lawful run can have written is refused."""

from __future__ import annotations

import pytest

from bluegreen.core import admit as ad
from bluegreen.core import admit_drift
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.admit_drift import answered
from bluegreen.core.decide import next_step
from bluegreen.core.phases import IllegalTransition, apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import Refused
from tests.builders import OPERATOR, SERVICE, START, at, make_plan, record, state_after, weights

SHOWN, WHOLE = weights(blue=700, green=300), weights(blue=100, green=0)
TWO = make_plan(("lb", "nlb"))


@pytest.mark.parametrize(
    ("script", "event"),
    [
        ("", ev.RestoreAsked({"lb": SHOWN})),
        ("", ev.RestoreStarted("lb", SHOWN, WHOLE)),
        ("", ev.DriftLeft({"lb": SHOWN})),
        ("", ev.DriftTraced("lb", "ann", "ModifyListener")),
        ("drift:300", ev.RestoreStarted("lb", SHOWN, WHOLE)),
        ("drift:300 ordered", ev.RestoreAsked({"lb": SHOWN})),
        ("drift:300 ordered", ev.RestoreStarted("nlb", SHOWN, WHOLE)),
        ("drift:300 ordered", ev.Restored("lb", WHOLE)),
        ("drift:300 ordered", ev.RestoreLost("lb", "no answer")),
        ("drift:300 ordered", ev.RestoreRefused("nlb", "no")),
        ("drift:300 ordered restoring", ev.RestoreStarted("lb", SHOWN, WHOLE)),
        ("drift:300 ordered restoring", ev.RestoreUnmade("nlb")),
    ],
)
def test_an_entry_that_no_lawful_run_writes_is_refused(script: str, event: ev.Event):
    state = state_after(script)
    with pytest.raises(IllegalTransition):
        apply(state, record(event, None, OPERATOR, "because"))


def test_an_intent_without_an_outcome_is_looked_up_and_goes_on_only_where_the_process_had_ended():
    looking = next_step(state_after("drift:300 ordered restoring"), at(0))
    assert isinstance(looking, st.LookUpRestore)
    assert isinstance(next_step(state_after("drift:300 ordered restoring unmade"), at(0)), st.Restore)
    lost = state_after("drift:300 ordered restoring strayed unmade")
    assert next_step(lost, at(0)) is None
    assert "the write was lost on its way" in lost.drift["lb"].refused


@pytest.mark.parametrize("seconds", [16 * 60, -16 * 60])
def test_a_word_that_is_old_by_a_clock_that_may_have_jumped_writes_nothing(seconds: int):
    step = next_step(state_after("drift:300 ordered"), at(seconds))
    assert isinstance(step, st.Conclude)
    assert "older than 15 minutes" in step.event.summary  # type: ignore[attr-defined]


def test_a_point_in_doubt_that_nobody_can_read_keeps_no_other_point_waiting():
    state = state_after("drift:300 ordered restoring strayed unread", TWO)
    step = next_step(state, at(0))
    assert isinstance(step, st.Restore)
    assert step.point == "nlb"
    assert set(state.in_doubt) == {"lb"}


def test_what_left_the_configuration_is_no_longer_a_matter_of_the_order():
    state = state_after("drift:300 ordered restoring strayed", TWO)
    state = apply(state, record(ev.PointForgotten("lb"), None))
    assert state.restore is not None
    assert (set(state.restore.shown), state.restore.writing) == ({"nlb"}, None)
    assert apply(state, record(ev.DriftGone("nlb"), None)).restore is None


def test_a_point_that_says_something_else_in_place_of_weights_is_refused_and_said():
    state = state_after("drift:300 ordered")
    state = apply(state, record(ev.DriftSeen("lb", WHOLE, weights(), "the listener is gone"), None))
    step = next_step(state, at(0))
    assert isinstance(step, st.Conclude)
    assert "lb the listener is gone now" in step.event.summary  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "request_", [ad.Restore(drift=frozenset({"d"}), reason=" "), ad.Leave(drift=frozenset({"d"}), reason="")]
)
def test_an_answer_to_a_drift_needs_a_reason(request_: ad.AnyRequest) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        ad.admit(request_, ServiceState(SERVICE), START)


def test_no_restore_while_a_deploy_command_of_another_process_may_still_run():
    state = state_after("requested preflight deploying restarted stopped drift:300")
    with pytest.raises(Refused, match="deploy is still under way"):
        admit_drift.restore(ad.Restore(drift=answered(state.drift), reason="put it right"), state)
