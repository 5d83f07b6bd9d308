"""The fold: what each entry makes of the state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bluegreen.core import events as ev
from bluegreen.core.phases import IllegalTransition, apply, as_split, fold, sole_live
from bluegreen.core.state import KEYS_MAX, PAST_MAX, Change, Point, ServiceState
from bluegreen.model import Condition, Kind, Release, Role, Weights
from tests.builders import (
    DEPLOYED,
    OPERATOR,
    SERVICE,
    SHIFTING,
    WORDS,
    at,
    finding,
    halted,
    journal_of,
    make_plan,
    record,
    state_after,
    the_switch,
    weights,
)  # fmt: skip

THREE = ("blue", "green", "red")
TWO_POINTS = make_plan(("a", "b"))


# --- law 2: a halt stays ---


def test_a_halt_survives_a_restart_and_a_replay():
    before = state_after(f"{SHIFTING} set:50 halted:latency")
    after = state_after(f"{SHIFTING} set:50 halted:latency restarted restarted")
    assert the_switch(after).halt == the_switch(before).halt
    assert the_switch(after).condition is Condition.HALTED
    assert fold(SERVICE, tuple(journal_of(f"{SHIFTING} set:50 halted:latency restarted restarted"))) == after


def test_a_fact_that_comes_in_while_halted_is_recorded_and_the_halt_stays():
    state = state_after(f"{SHIFTING} writing:50 stopped")
    set_, shown = WORDS["set"](state, "50")[1], weights(blue=950, green=50)
    state = apply(state, record(set_, "s1"))
    assert state.points["lb"].native == shown
    assert the_switch(state).condition is Condition.HALTED
    assert the_switch(state).open is None


def test_a_second_halt_has_a_number_of_its_own():
    switch = the_switch(state_after("requested halted resumed halted"))
    assert switch.halt is not None
    assert switch.halt.id == "s1-h2"
    assert switch.next_halt() == "s1-h3"


# --- law 3: unknown is never forgotten ---


@pytest.mark.parametrize("interruption", ["lost", "restarted", "failback", "stopped restarted", "paused restarted"])
def test_a_write_without_an_outcome_is_unsettled(interruption: str):
    state = state_after(f"{SHIFTING} set:50 watched:60 reached:0 writing:500 {interruption}")
    change = Change(weights(blue=950, green=50), weights(blue=500, green=500), weights(blue=500, green=500))
    assert state.unsettled == {"lb": change}


def test_a_write_that_is_looked_up_is_settled():
    assert state_after(f"{SHIFTING} writing:50 lost unchanged").unsettled == {}
    found = state_after(f"{SHIFTING} writing:50 lost found")
    assert found.unsettled == {}
    assert found.points["lb"].native == weights(blue=950, green=50)


def test_a_halt_that_leaves_the_step_open_leaves_it_open():
    state = state_after(f"{SHIFTING} writing:50")
    state = apply(state, record(halted(the_switch(state), closes_step=False), "s1"))
    assert the_switch(state).open is not None
    assert state.in_doubt.keys() == {"lb"}
    assert [operation.outcome for operation in the_switch(state).operations][-1] == "done"


def test_a_deployment_cut_by_a_restart_is_unknown_and_any_look_is_simply_over():
    deploying = the_switch(state_after("requested preflight deploying restarted"))
    assert deploying.open is not None
    assert deploying.open.unknown
    assert the_switch(state_after(f"{SHIFTING[:-6]} smoking restarted")).open is None
    assert the_switch(state_after("requested restarted")).open is None


def test_what_is_in_the_candidate_is_unknown_from_the_intent_until_the_outcome():
    assert state_after("requested preflight deploying").releases["green"] == Release(None, switch="s1")
    assert state_after("requested preflight deployed").releases["green"].version == "2"


def test_the_list_of_operations_says_what_became_of_each():
    script = f"{SHIFTING} writing:50 lost unchanged set:50 watched:60 reached:0 writing:500 restarted found halted"
    told = [(one.step, one.outcome) for one in the_switch(state_after(script)).operations]
    assert told == [
        ("preflight", "done"), ("deploy", "done"), ("wait_healthy", "done"), ("smoke", "done"),
        ("set_weights", "unknown"), ("shift", "not done"), ("set_weights", "done"), ("shift", "done"),
        ("shift", "failed"),
    ]  # fmt: skip
    assert the_switch(state_after(script)).operations[-2].detail.endswith("(found by looking)")


# --- what is live, what is warm ---


def test_a_deployment_makes_the_candidate_live_and_its_source_warm():
    state = state_after(DEPLOYED)
    assert (state.live, state.role("green"), state.role("blue")) == ("green", Role.LIVE, Role.WARM)
    assert [one.outcome for one in the_switch(state).operations] == ["done"] * 7


def test_roles_in_mid_shift():
    state = state_after(f"{SHIFTING} set:50", environments=THREE)
    assert [state.role(name) for name in THREE] == [Role.LIVE, Role.CANDIDATE, Role.IDLE]


def test_a_failback_leaves_nothing_warm():
    state = state_after(f"{DEPLOYED} failback proven set:1000 shifted watched:30 baked completed")
    assert (state.live, state.warm, the_switch(state).kind) == ("blue", {}, Kind.FAILBACK)
    assert the_switch(state).condition is Condition.COMPLETED


def test_a_warm_environment_that_was_released_meanwhile_is_not_brought_back():
    state = state_after(f"{SHIFTING} set:1000 shifted watched:30 baked")
    state = apply(state, record(ev.WarmReleased("blue"), None, OPERATOR))
    assert apply(state, record(ev.KeptWarm("blue", at(9)), "s1")).warm == {}


def test_a_deployment_takes_its_candidate_out_of_the_warm_and_a_failback_does_not():
    assert state_after(f"{DEPLOYED} requested:7200").warm == {}
    assert set(state_after(f"{DEPLOYED} failback").warm) == {"blue"}


def test_an_abort_looks_again_who_is_live():
    """Somebody moved everything back in the bake, an operator adopted that, and ended the switch."""
    state = state_after(f"{SHIFTING} set:1000 shifted drifted adopted:0 aborted")
    assert (state.live, state.warm) == ("blue", {})


def test_what_was_adopted_without_a_switch_says_who_is_live():
    state = state_after(f"{DEPLOYED} adopted:0")
    assert (state.live, state.warm) == ("blue", {})
    assert state_after(f"{DEPLOYED} adopted:500").live == "green"


def test_an_adoption_ends_drift_and_doubt_of_the_points_it_names():
    state = state_after(f"{SHIFTING} writing:50 lost drift:300 stopped adopted:300")
    assert (state.drift, state.unsettled) == ({}, {})
    assert state.live == "blue"
    assert state.points["lb"] == Point(weights(blue=700, green=300), weights(blue=700, green=300))


def test_drift_comes_and_goes():
    state = state_after("drift:100")
    assert state.drift["lb"].seen == weights(blue=900, green=100)
    assert apply(state, record(ev.DriftGone("lb"), None)).drift == {}


def test_a_point_that_is_no_longer_configured_is_forgotten_with_all_that_belongs_to_it():
    state = apply(state_after("drift:100", TWO_POINTS), record(ev.PointForgotten("a"), None))
    assert set(state.points) == set(state.drift) == {"b"}


# --- who is live by the weights alone ---


def test_live_is_who_has_all_of_the_traffic_everywhere():
    def live(*natives: Weights) -> str | None:
        return sole_live({str(n): Point(native, as_split(native)) for n, native in enumerate(natives)})

    assert live() is None
    assert live(weights(blue=1, green=0), weights(blue=256, green=0)) == "blue"
    assert live(weights(blue=1, green=0), weights(blue=0, green=1)) is None
    assert live(weights(blue=99, green=1)) is None


# --- what is no journal of ours ---


def test_an_entry_of_another_switch_is_refused():
    with pytest.raises(IllegalTransition, match="belongs to no open switch"):
        apply(state_after("requested"), record(ev.Restarted(1), "s9"))
    with pytest.raises(IllegalTransition, match="belongs to no open switch"):
        apply(ServiceState(SERVICE), record(ev.Restarted(1), "s1"))


def test_a_switch_does_not_begin_on_top_of_another_nor_without_an_id():
    requested = journal_of("requested")[-1]
    with pytest.raises(IllegalTransition, match="while s1 is open"):
        apply(state_after("requested"), replace(requested, switch="s2"))
    with pytest.raises(IllegalTransition, match="begins"):
        apply(state_after(""), replace(requested, switch=None))


def test_an_abort_with_traffic_is_no_lawful_entry():
    with pytest.raises(IllegalTransition, match="aborted while green has traffic"):
        apply(state_after(f"{SHIFTING} set:50"), record(ev.Aborted(), by=OPERATOR))


def test_an_entry_without_a_name_and_a_failback_without_a_reason_are_refused():
    with pytest.raises(IllegalTransition, match="no name"):
        apply(state_after("requested"), record(ev.Restarted(1), by=""))
    requested = journal_of(f"{DEPLOYED} failback")[-1]
    with pytest.raises(IllegalTransition, match="no reason"):
        apply(state_after(DEPLOYED), replace(requested, reason=""))


# --- what is counted and kept ---


def test_answers_lost_count_only_as_long_as_no_write_was_made():
    lost = f"{SHIFTING} writing:50 lost unchanged writing:50 lost"
    assert the_switch(state_after(f"{lost} unchanged")).lost == 2
    assert the_switch(state_after(f"{lost} found")).lost == 0
    assert the_switch(state_after(f"{lost} unchanged stopped resumed")).lost == 0


def test_a_pause_knows_who_asked_for_it():
    assert the_switch(state_after("requested paused")).paused_by == OPERATOR
    assert the_switch(state_after("requested paused resumed")).paused_by == ""


def test_promoting_leaves_one_step():
    assert the_switch(state_after(f"{SHIFTING} set:50 watched:60 reached:0 promoted")).steps == (50, 1000)


def test_an_accepted_check_is_remembered():
    assert the_switch(state_after("requested halted accepted")).accepted == {"errors"}
    assert the_switch(state_after("requested halted accepted")).condition is Condition.RUNNING


def test_ended_switches_are_kept_up_to_a_limit():
    state = state_after(" ".join(["requested aborted"] * (PAST_MAX + 3)))
    assert len(state.past) == PAST_MAX
    assert state.past[-1].condition is Condition.ABORTED
    assert state.past[-1].ended_by == OPERATOR


def test_idempotency_keys_are_kept_up_to_a_limit():
    state = state_after("")
    for number in range(KEYS_MAX + 2):
        seen = record(ev.DriftGone("lb"), None)
        state = apply(state, replace(seen, key=f"k{number}", key_digest="d" if number else None, switch="s1"))
    assert len(state.keys) == KEYS_MAX
    assert state.keys[f"k{KEYS_MAX + 1}"] == ("d", "s1")
    assert "k1" not in state.keys


def test_every_entry_counts():
    journal = journal_of(DEPLOYED)
    assert state_after(DEPLOYED).version == len(journal)
    assert ev.Entry(1, 1, journal[0], "hash").event == journal[0].event


def test_a_halt_keeps_what_was_found():
    found = (finding("a", ok=True), finding("b"))
    state = state_after("requested")
    state = apply(state, record(replace(halted(the_switch(state)), findings=found), "s1"))
    halt = the_switch(state).halt
    assert halt is not None
    assert halt.findings == found
    assert [one.check for one in halt.failed()] == ["b"]
