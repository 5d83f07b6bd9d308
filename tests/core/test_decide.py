"""What is next, state by state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.decide import LOST_MAX, WATCH_SECONDS_MAX, next_step, run_id, target_split
from bluegreen.core.phases import WORD_SECONDS, apply, as_split
from bluegreen.core.state import Point, ServiceState
from bluegreen.model import Cause, Condition, Phase, Plan, Weights
from tests.builders import (
    DEPLOYED,
    SERVICE,
    SHIFTING,
    at,
    journal_of,
    make_plan,
    record,
    state_after,
    the_switch,
    weights,
)

THREE = ("blue", "green", "red")


def _next(script: str, plan: Plan | None = None) -> st.Step | None:
    return next_step(state_after(script, plan), at(1000))


def test_the_way_of_a_deployment():
    way = {
        "": None,
        "requested": st.Preflight(),
        "requested preflight": st.Deploy(),
        "requested preflight deployed": st.WaitHealthy(),
        "requested preflight deployed healthy": st.Smoke(),
        SHIFTING: st.SetWeights("lb", weights(blue=100, green=0), weights(blue=950, green=50)),
        f"{SHIFTING} set:50": st.Watch(WATCH_SECONDS_MAX),
        f"{SHIFTING} set:50 watched:50": st.Watch(10.0),
        f"{SHIFTING} set:50 watched:60": st.Conclude(ev.StepReached(0)),
        f"{SHIFTING} set:1000 promoted": st.Conclude(ev.Shifted()),
        f"{SHIFTING} set:1000 shifted": st.Watch(WATCH_SECONDS_MAX),
        f"{SHIFTING} set:1000 shifted watched:30": st.Conclude(ev.Baked()),
        f"{SHIFTING} set:1000 shifted watched:30 baked": st.Conclude(ev.KeptWarm("blue", at(1000 + 3600))),
        DEPLOYED: None,
    }
    assert {script: _next(script) for script in way} == way


def test_the_way_of_a_failback():
    way = {
        f"{DEPLOYED} failback": st.ProveWarm(),
        f"{DEPLOYED} failback proven": st.SetWeights("lb", weights(blue=0, green=1000), weights(blue=50, green=950)),
        f"{DEPLOYED} failback proven set:1000 shifted watched:30 baked": st.Conclude(ev.KeptWarm(None, None)),
    }
    assert {script: _next(script) for script in way} == way


def test_every_switch_point_in_turn_and_then_the_wait():
    plan = make_plan(("a", "b"))
    state = state_after(SHIFTING, plan)
    first = next_step(state, at(0))
    assert isinstance(first, st.SetWeights)
    assert first.point == "a"
    split = weights(blue=950, green=50)
    for event in (ev.StepStarted("set_weights", "a", split, split, split), ev.WeightsSet("a", split, split)):
        state = apply(state, record(event))
    second = next_step(state, at(0))
    assert isinstance(second, st.SetWeights)
    assert second.point == "b"
    assert _next(f"{SHIFTING} set:50", plan) == st.Watch(WATCH_SECONDS_MAX)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=9000), timedelta(days=-1)])
@pytest.mark.parametrize(
    "script",
    [
        "requested halted",
        f"{SHIFTING} set:50 stopped",
        f"{SHIFTING} writing:50 lost stopped unchanged",
        f"{SHIFTING} writing:50 lost vain",
        "requested preflight deploying stopped",
    ],
)
def test_a_halt_waits_for_a_person_whatever_the_time(script: str, later: timedelta):
    assert next_step(state_after(script), at(100) + later) == st.AwaitOperator()


def test_unknown_is_looked_up_before_anything_else_also_in_a_pause():
    look = st.LookUp("lb", weights(blue=100, green=0), weights(blue=950, green=50), weights(blue=950, green=50))
    assert _next(f"{SHIFTING} writing:50 lost") == look
    assert _next(f"{SHIFTING} writing:50 restarted") == look
    assert _next(f"{SHIFTING} writing:50 lost paused") == look
    assert _next(f"{SHIFTING} writing:50 lost stopped") == look


def test_what_is_unknown_at_a_halt_is_looked_up_once_so_that_a_person_has_facts():
    assert isinstance(_next(f"{SHIFTING} writing:50 lost stopped"), st.LookUp)
    assert isinstance(_next(f"{SHIFTING} writing:50 stopped restarted"), st.LookUp)
    assert _next(f"{SHIFTING} writing:50 lost stopped found") == st.AwaitOperator()
    assert isinstance(_next(f"{SHIFTING} writing:50 lost vain resumed"), st.LookUp)


def test_a_pause_watches_what_has_traffic():
    assert _next(f"{SHIFTING} set:50 paused") == st.Watch(None)
    assert _next("requested paused") == st.AwaitOperator()


@pytest.mark.parametrize("again", [False, True])
def test_a_deployment_with_an_unknown_outcome_is_looked_for_before_it_is_made_also_in_a_pause(again: bool):
    plan = make_plan(deploy_again=again)
    assert _next("requested preflight deploying restarted", plan) == st.FindDeploy()
    assert _next("requested preflight deploying paused restarted", plan) == st.FindDeploy()
    assert _next("requested preflight deploying stopped restarted", plan) == st.FindDeploy()
    assert _next("requested preflight deploying stopped restarted undeployed", plan) == st.AwaitOperator()


def test_a_deployment_that_was_surely_not_made_is_made_by_itself():
    assert _next("requested preflight deploying restarted undeployed") == st.Deploy()
    assert _next("requested preflight deploying paused restarted undeployed") == st.AwaitOperator()
    assert _next("requested preflight deploying paused restarted undeployed resumed") == st.Deploy()


def test_an_attempt_has_the_same_name_in_every_process_and_each_attempt_another_one():
    def name(script: str) -> str:
        return run_id(the_switch(state_after(script)))

    first = "requested preflight deploying"
    assert name(first) == name(f"{first} restarted") == name(f"{first} restarted stopped restarted") == "s1-d1"
    assert name(f"{first} restarted undeployed deploying") == name(f"{first} broken resumed deploying") == "s1-d2"
    assert name(f"{first} restarted undeployed deploying broken resumed deploying restarted") == "s1-d3"


def test_an_approval_is_awaited_at_every_step_but_the_last():
    plan = make_plan(wait=None)
    assert _next(f"{SHIFTING} set:50", plan) == st.Conclude(ev.ApprovalAwaited())
    assert _next(f"{SHIFTING} set:50 awaited", plan) == st.Watch(None)
    assert _next(f"{SHIFTING} set:50 awaited approved", plan) == st.Conclude(ev.StepReached(0))
    assert _next(f"{SHIFTING} set:50 awaited stopped resumed", plan) == st.Conclude(ev.ApprovalAwaited())
    assert _next(f"{SHIFTING} set:50 awaited approved reached:0 set:500", plan) == st.Conclude(ev.ApprovalAwaited())
    assert _next(f"{SHIFTING} set:50 awaited promoted set:1000", plan) == st.Conclude(ev.Shifted())


def test_a_share_that_was_there_before_is_not_waited_for():
    """A failback in mid-shift: the receiving side still has half of the traffic."""
    half = f"{SHIFTING} set:50 watched:60 reached:0 set:500 failback proven"
    assert _next(half) == st.Conclude(ev.StepReached(0))
    assert _next(f"{half} reached:0") == st.Conclude(ev.StepReached(1))
    step = _next(f"{half} reached:0 reached:1")
    assert step == st.SetWeights("lb", weights(blue=500, green=500), weights(blue=1000, green=0))


def test_too_many_lost_answers_are_a_halt_and_only_writes_that_were_not_made_count():
    lost = " writing:50 lost unchanged" * LOST_MAX
    halt = _next(f"{SHIFTING}{lost}")
    assert isinstance(halt, st.Conclude)
    assert isinstance(halt.event, ev.Halted)
    assert halt.event.cause is Cause.OUTCOME_UNKNOWN
    made = " writing:50 lost unchanged" * (LOST_MAX - 1) + " writing:50 lost found"
    assert _next(f"{SHIFTING}{made}") == st.Watch(WATCH_SECONDS_MAX)


def test_what_an_operator_adopted_below_everything_is_shifted_again_before_it_counts_as_done():
    back = f"{SHIFTING} set:1000 shifted drifted adopted:300 resumed"
    everything = st.SetWeights("lb", weights(blue=700, green=300), weights(blue=0, green=1000))
    assert _next(back) == st.Smoke()
    assert _next(f"{back} smoke") == everything
    assert _next(f"{back} smoke set:1000 watched:30") == st.Conclude(ev.Baked())
    assert _next(f"{SHIFTING} set:1000 shifted watched:30 baked drifted adopted:300 resumed smoke") == everything


@pytest.mark.parametrize("gap", ["restarted", "stopped resumed", "paused resumed"])
def test_a_candidate_is_proven_anew_before_its_next_share_after_a_gap(gap: str):
    half_way = f"{SHIFTING} set:50 watched:60 reached:0"
    assert isinstance(_next(half_way), st.SetWeights)
    assert _next(f"{half_way} {gap}") == st.Smoke()
    assert isinstance(_next(f"{half_way} {gap} smoke"), st.SetWeights)
    assert _next(f"{SHIFTING} set:50 {gap}") == st.Watch(WATCH_SECONDS_MAX), "no share is due: nothing to prove yet"
    assert _next(f"{DEPLOYED} failback proven {gap}") == st.ProveWarm()


def test_a_failback_goes_on_after_a_restart_while_the_word_for_it_is_fresh_and_asks_again_later():
    fresh, old = f"{DEPLOYED} failback proven", WORD_SECONDS + 60
    state = state_after(fresh)
    word = the_switch(state).word_at

    def restarted(after: float) -> st.Step | None:
        record = replace(journal_of(f"{fresh} restarted")[-1], at=word + timedelta(seconds=after))
        return next_step(apply(state, record), record.at)

    assert restarted(WORD_SECONDS) == st.ProveWarm()
    asked = restarted(old)
    assert isinstance(asked, st.Conclude)
    assert isinstance(asked.event, ev.Halted)
    assert asked.event.cause is Cause.INTERRUPTED
    assert _next(f"{SHIFTING} restarted") == st.Smoke(), "a deployment moves nothing back: its word does not age"


def test_a_step_below_what_the_candidate_has_writes_nothing():
    """Rounding: three natives whose shares add up to 100.1 %. Writing them again would take 0.06 % away."""
    state = state_after(f"{SHIFTING} set:500 stopped resumed", environments=THREE)
    native = weights(green=5996, blue=2006, red=1998)
    assert as_split(native).total == 1001
    state = replace(state, points={"lb": Point(native, as_split(native))})
    assert next_step(state, at(0)) == st.Watch(WATCH_SECONDS_MAX)


def test_an_open_switch_has_not_ended():
    state = state_after("requested")
    ended = replace(the_switch(state), phase=Phase.ENDED)
    with pytest.raises(AssertionError, match="has not ended"):
        next_step(replace(state, switch=ended), at(0))


def test_a_service_without_a_journal_has_nothing_to_do():
    assert next_step(ServiceState(SERVICE), at(0)) is None


# --- splits ---


def test_the_others_divide_the_rest_as_they_did():
    switch = replace(the_switch(state_after("requested")), base={"lb": weights(blue=600, red=400, green=0)})
    assert target_split(switch, "lb", weights(blue=600, red=400, green=0), 100) == weights(blue=540, green=100, red=360)
    assert target_split(switch, "lb", weights(blue=600, red=400, green=0), 1) == weights(blue=600, green=1, red=399)


def test_where_the_candidate_had_it_all_the_rest_goes_to_the_source():
    switch = replace(the_switch(state_after("requested")), base={"lb": weights(blue=0, red=0, green=1000)})
    assert target_split(switch, "lb", weights(blue=500, red=0, green=500), 500) == weights(blue=500, green=500, red=0)


def test_a_split_that_asks_for_less_than_there_is_keeps_what_there_is():
    switch = the_switch(state_after("requested"))
    assert target_split(switch, "lb", weights(blue=30, green=70), 50) == weights(blue=300, green=700)
    assert switch.condition is Condition.RUNNING
    assert isinstance(target_split(switch, "lb", weights(blue=1, green=0), 1), Weights)
