"""What a look at the balancers means: first sight, drift, drift gone; unreadable is unknown."""

from __future__ import annotations

import pytest

from bluegreen.core import events as ev
from bluegreen.core.admit_drift import no_traffic_by_drift
from bluegreen.core.drift import judge, why_unknown
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import Refused
from bluegreen.model import Cause, Weights
from tests.builders import SERVICE, SHIFTING, make_plan, record, state_after, weights

BLUE, GREEN, MIXED = weights(blue=1, green=0), weights(blue=0, green=1), weights(blue=70, green=30)
NEW = ServiceState(SERVICE)
TWO = make_plan(("a", "b"))


def test_first_sight_needs_every_point_and_one_environment_with_everything():
    assert judge(NEW, {"a": BLUE, "b": BLUE}) == (ev.Baseline("blue", {"a": BLUE, "b": BLUE}),)
    assert judge(NEW, {"a": BLUE, "b": None}) == ()
    assert judge(NEW, {"a": BLUE, "b": GREEN}) == ()
    assert judge(NEW, {"a": weights(blue=0, green=0)}) == ()
    assert judge(NEW, {}) == ()


def test_why_live_is_unknown():
    assert why_unknown(NEW, {"a": BLUE, "b": None}) == "not read yet, or unreadable: b"
    assert why_unknown(NEW, {}) == "not read yet, or unreadable: every switch point"
    assert "a shows blue 70% green 30%" in str(why_unknown(NEW, {"a": MIXED}))
    assert why_unknown(state_after(""), {"lb": None}) is None


def test_a_new_point_is_taken_when_it_agrees_and_no_switch_is_open():
    assert judge(state_after(""), {"lb": BLUE, "new": BLUE}) == (ev.Adopted({"new": BLUE}),)
    assert judge(state_after(""), {"lb": BLUE, "new": GREEN}) == ()
    assert judge(state_after("requested"), {"lb": BLUE, "new": BLUE}) == ()


def test_a_point_that_left_the_configuration_is_forgotten_when_no_switch_is_open():
    assert judge(state_after("", TWO), {"a": BLUE}) == (ev.PointForgotten("b"),)
    assert judge(state_after("requested", TWO), {"a": BLUE}) == ()


def test_the_same_split_in_another_scale_is_no_drift():
    assert judge(state_after(""), {"lb": weights(blue=256, green=0)}) == ()


def test_unreadable_is_neither_changed_nor_unchanged():
    assert judge(state_after("drift:300"), {"lb": None}) == ()


def test_drift_is_said_once_and_again_when_it_changes():
    seen = judge(state_after(""), {"lb": MIXED})
    assert seen == (ev.DriftSeen("lb", weights(blue=100, green=0), MIXED),)
    assert judge(state_after("drift:300"), {"lb": MIXED}) == ()
    assert len(judge(state_after("drift:300"), {"lb": GREEN})) == 1
    assert judge(state_after("drift:300"), {"lb": BLUE}) == (ev.DriftGone("lb"),)


def test_drift_halts_what_runs_and_what_is_paused_and_adds_nothing_to_a_halt():
    for condition in ("", " paused"):
        events = judge(state_after(f"{SHIFTING} set:50{condition}"), {"lb": MIXED})
        assert [type(event) for event in events] == [ev.DriftSeen, ev.Halted]
        assert isinstance(events[1], ev.Halted)
        assert events[1].cause is Cause.DRIFT
        assert "lb shows blue 70% green 30%, expected was blue 95% green 5%" in events[1].summary
    assert [type(event) for event in judge(state_after(f"{SHIFTING} set:50 stopped"), {"lb": MIXED})] == [ev.DriftSeen]


def test_a_point_in_doubt_is_looked_up_and_not_called_drift():
    assert judge(state_after(f"{SHIFTING} writing:50 lost"), {"lb": MIXED}) == ()


def test_what_a_look_leads_to_can_be_recorded():
    state = state_after(f"{SHIFTING} set:50")
    for event in judge(state, {"lb": MIXED}):
        state = apply(state, record(event, "s1"))
    assert isinstance(state.drift["lb"].seen, Weights)
    assert judge(state, {"lb": MIXED}) == ()


def test_only_traffic_that_another_hand_gave_holds_up():
    drifted = state_after("drift:300")
    no_traffic_by_drift(drifted, "red")
    with pytest.raises(Refused, match="somebody else gave green 30% of the traffic at lb"):
        no_traffic_by_drift(drifted, "green")
