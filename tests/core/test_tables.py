"""The tables are total: nothing that can happen, and no place where it can happen, is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

import pytest

from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.codec import KINDS
from bluegreen.core.decide import next_step
from bluegreen.core.notes import NoteEvent
from bluegreen.core.phases import CONDITIONS, TRANSITIONS, IllegalTransition, apply
from bluegreen.model import Condition, Phase
from tests.builders import OPERATOR, SHIFTING, at, halted, record, state_after, the_switch

OF_DRIFT = set(get_args(ev.OfDrift))
OF_THE_SERVICE = {
    ev.Baseline, ev.Adopted, ev.DriftSeen, ev.DriftGone, ev.PointForgotten, ev.WarmReleased, ev.CardTaken,
    ev.Distrusted, ev.ClockMoved, *OF_DRIFT,
}  # fmt: skip
NOTES = {kind for kind in KINDS.values() if issubclass(kind, NoteEvent)}
BEGINS = {ev.Requested}
OPERATORS = {
    ev.Requested, ev.Adopted, ev.WarmReleased, ev.Paused, ev.Approved, ev.Resumed, ev.Promoted, ev.CheckAccepted,
    ev.Aborted, ev.FailedBack, ev.Superseded,
}  # fmt: skip
"""What an operator alone can cause."""


def test_every_phase_has_its_moves():
    assert set(TRANSITIONS) == set(Phase)


def test_every_condition_has_its_moves():
    assert set(CONDITIONS) == set(Condition)


def test_every_event_is_in_both_tables_or_belongs_to_the_service():
    by_phase = {event for moves in TRANSITIONS.values() for event in moves}
    by_condition = {event for moves in CONDITIONS.values() for event in moves}
    assert by_phase == by_condition
    assert set(KINDS.values()) == by_phase | OF_THE_SERVICE | BEGINS | NOTES
    assert not by_phase & (OF_THE_SERVICE | BEGINS | NOTES)


def test_an_end_has_no_way_on():
    assert not TRANSITIONS[Phase.ENDED]
    assert all(condition.is_open or not CONDITIONS[condition] for condition in Condition)


def test_a_switch_ends_where_its_phase_ends():
    for phase, moves in TRANSITIONS.items():
        for event, to in moves.items():
            ends = {moves[event].is_open for moves in CONDITIONS.values() if event in moves}
            assert ends == {to is not Phase.ENDED}, (phase, event)


def test_a_halt_is_left_by_an_operators_event_alone():
    left_by = {event for event, to in CONDITIONS[Condition.HALTED].items() if to is not Condition.HALTED}
    assert left_by <= OPERATORS
    assert left_by == {ev.Resumed, ev.Promoted, ev.Aborted, ev.FailedBack, ev.Superseded}


def test_no_phase_leads_back():
    order = list(Phase)
    assert all(order.index(to) >= order.index(phase) for phase, moves in TRANSITIONS.items() for to in moves.values())


def test_every_request_is_admitted_or_refused():
    assert _names(get_args(ad.AnyRequest)) == _names(ad.Request.__subclasses__())


def test_every_step_is_met_by_a_state():
    scripts = (
        "", "requested", "requested preflight", "requested preflight deployed", "requested preflight deployed healthy",
        SHIFTING, f"{SHIFTING} set:50", f"{SHIFTING} set:50 watched:60", "requested halted",
        f"{SHIFTING} writing:50 lost", f"{SHIFTING} set:50 failback", "drift:300 ordered",
        "requested halted drift:300 ordered restoring", "requested preflight deploying restarted",
    )  # fmt: skip
    met = [type(next_step(state_after(script), at(0))) for script in scripts]
    assert _names(met) == _names([*st.Step.__subclasses__(), type(None)])


def _names(classes: Iterable[type]) -> set[str]:
    return {cls.__name__ for cls in classes}


def _everywhere() -> Iterator[tuple[Phase, Condition]]:
    return ((phase, condition) for phase in Phase for condition in Condition if phase is not Phase.ENDED)


@pytest.mark.parametrize(("phase", "condition"), [pair for pair in _everywhere() if pair[1].is_open])
def test_an_event_is_lawful_where_both_tables_have_it_and_nowhere_else(phase: Phase, condition: Condition):
    state = state_after(f"{SHIFTING} halted")
    state = replace(state, switch=replace(the_switch(state), phase=phase, condition=condition))
    for event in _one_of_each(state.live or ""):
        lawful = type(event) in TRANSITIONS[phase] and type(event) in CONDITIONS[condition]
        try:
            after = apply(state, record(event, by=OPERATOR, reason="because"))
        except IllegalTransition:
            assert not lawful, event
        else:
            assert lawful, event
            assert the_switch(after).phase is TRANSITIONS[phase][type(event)]
            assert the_switch(after).condition is CONDITIONS[condition][type(event)]


def _one_of_each(live: str) -> Sequence[ev.Event]:
    state = state_after(SHIFTING)
    native = state.points["lb"].native
    return (
        ev.StepStarted("smoke"), ev.Paused(), ev.ApprovalAwaited(), ev.Approved(), ev.Resumed(), ev.Promoted(),
        ev.CheckAccepted("errors"), ev.Aborted(), ev.FailedBack("s9"), ev.Superseded("s9"), ev.PreflightPassed(),
        ev.WarmProven(), ev.Deployed("done"), ev.DeployNotMade("not started"),
        ev.BecameHealthy("all"), ev.SmokePassed(), ev.Watched(1.0),
        ev.WeightsSet("lb", native, native), ev.WeightsUnchanged("lb"), ev.OutcomeLost("lb", "no answer"),
        ev.StepReached(0), ev.Shifted(), ev.Baked(), ev.KeptWarm(live, datetime.max), ev.Restarted(1),
        halted(the_switch(state)),
    )  # fmt: skip


def test_one_of_each_is_all_of_them():
    assert {type(event) for event in _one_of_each("blue")} == set(KINDS.values()) - OF_THE_SERVICE - BEGINS - NOTES
