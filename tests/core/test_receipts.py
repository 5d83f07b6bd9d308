"""What a daemon makes of a receipt: the operator's own records, once, and then it waits for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.decide import next_step
from bluegreen.core.halts import options
from bluegreen.core.phases import IllegalTransition, apply, fold
from bluegreen.core.receipts import distrusted, to_import, without_daemon
from bluegreen.core.state import ServiceState
from bluegreen.model import WHOLE, Cause, Condition
from tests.builders import (
    DEPLOYED,
    OPERATOR,
    SERVICE,
    SHIFTING,
    at,
    journal_of,
    record,
    state_after,
    the_switch,
    weights,
)
from tests.invariants import check_journal

HALF_WAY = f"{SHIFTING} set:500 watched:60 reached:0"


def _receipt(script: str = "failback proven set:1000 shifted baked completed") -> list[ev.Record]:
    """A failback from blue 50 %, green 50 %, as the card's engine writes it."""
    shown = {"lb": weights(blue=500, green=500)}
    taken = record(
        ev.CardTaken("web.1.jsonl", "sha256:1", "green", "blue", shown, {"green": "2"}), None, OPERATOR, "no journal"
    )
    state, records = apply(ServiceState(SERVICE), taken), [taken]
    for one in journal_of(f"{DEPLOYED} {script}")[len(journal_of(DEPLOYED)) :]:
        changed = one.event
        if isinstance(changed, ev.Requested):
            at_once = replace(changed.plan, steps=(WHOLE,), bake_seconds=0.0)
            changed = replace(changed, base=shown, plan=at_once)
        if isinstance(changed, ev.StepStarted) and changed.point is not None:
            changed = replace(changed, expected=shown["lb"])
        again = replace(one, event=changed, switch="fb")
        state = apply(state, again)
        records.append(again)
    return records


def _made(switch: str, event: ev.Event, by: ev.Record) -> ev.Record:
    whose = "daemon" if isinstance(event, ev.Halted | ev.Restarted) else by.by
    return ev.Record(f"made-{type(event).__name__}", at(5000), SERVICE, switch, whose, event, by.reason)


def _imported(before: ServiceState, receipt: list[ev.Record]) -> ServiceState:
    state = before
    for one in to_import(before, receipt, _made):
        state = apply(state, one)
    return state


def test_a_finished_failback_is_on_record_and_waits_for_a_person():
    before = state_after(HALF_WAY)
    after = _imported(before, _receipt())
    switch = the_switch(after)
    assert (switch.id, switch.condition, switch.requested_by, switch.reason) == (
        "fb",
        Condition.HALTED,
        OPERATOR,
        "because",
    )
    assert switch.halt is not None
    assert switch.halt.cause is Cause.CARD
    assert (after.live, after.points["lb"].native.share("blue")) == ("blue", WHOLE)
    assert next_step(after, at(9000)) == st.AwaitOperator()
    assert after.past[-1].condition is Condition.FAILED_BACK
    resumed = apply(after, record(ev.Resumed(), "fb", OPERATOR))
    assert next_step(resumed, at(9000)) == st.Conclude(ev.KeptWarm(None, None))


def test_a_receipt_is_taken_in_once():
    once = _imported(state_after(HALF_WAY), _receipt())
    assert to_import(once, _receipt(), _made) == ()


def test_a_failback_that_its_process_did_not_survive_is_looked_up_before_a_person_answers():
    after = _imported(state_after(HALF_WAY), _receipt("failback proven writing:1000"))
    assert set(after.unsettled) == {"lb"}
    assert isinstance(next_step(after, at(9000)), st.LookUp)
    told = apply(after, record(ev.WeightsUnchanged("lb"), "fb"))
    assert next_step(told, at(9000)) == st.AwaitOperator()


def test_a_failback_that_was_halted_stays_halted_by_its_own_halt():
    after = _imported(state_after(HALF_WAY), _receipt("failback broken"))
    assert the_switch(after).halt == fold(SERVICE, tuple(_receipt("failback broken"))).switch.halt  # type: ignore[union-attr]


@pytest.mark.parametrize("receipt", [[], _receipt("")[:1], journal_of(DEPLOYED)], ids=["empty", "not begun", "no card"])
def test_what_is_no_failback_is_not_taken_in(receipt: list[ev.Record]):
    assert to_import(state_after(HALF_WAY), receipt, _made) == ()


def test_a_receipt_is_the_beginning_of_a_journal_that_was_lost():
    records = to_import(ServiceState(SERVICE), _receipt(), _made)
    assert fold(SERVICE, tuple(records)).live == "blue"
    assert check_journal(records)[SERVICE].halted


def test_a_card_is_not_taken_over_an_open_switch():
    with pytest.raises(IllegalTransition, match="while s1 is open"):
        apply(state_after(HALF_WAY), _receipt()[0])


def test_a_journal_is_distrusted_also_where_no_switch_is_open() -> None:
    (event,) = distrusted(ServiceState(SERVICE), "the card is newer")
    assert event == ev.Distrusted("the card is newer")
    (_, halt) = distrusted(state_after(SHIFTING), "the card is newer")
    assert isinstance(halt, ev.Halted)
    assert halt.cause is Cause.CARD


def test_a_failback_that_is_done_without_the_daemon_waits_for_a_person():
    switch = the_switch(state_after(f"{DEPLOYED} failback proven set:1000 shifted baked"))
    end = ev.KeptWarm(None, None)
    halted = without_daemon(switch, end)
    assert isinstance(halted, ev.Halted)
    assert halted.cause is Cause.WITHOUT_DAEMON
    assert without_daemon(switch, ev.Shifted()) == ev.Shifted()


def test_to_go_on_from_a_failback_that_is_done_is_no_retry_and_does_nothing():
    state = state_after(f"{DEPLOYED} failback proven set:1000 shifted baked")
    switch = the_switch(state)
    halted = apply(state, record(without_daemon(switch, ev.KeptWarm(None, None)), switch=switch.id))
    way = next(one for one in options(halted, ("blue", "green"), at(0)) if one.verb == "resume")
    assert (way.label, way.lawful, way.moves_traffic) == ("resume", True, False)
    assert way.effect.startswith("none: blue has all of the traffic; the failback is put on record as done: blue 100%")
    assert (way.risk, way.duration) == ("none: nothing is left to be done", "at once")
    promote = next(one for one in options(halted, ("blue", "green"), at(0)) if one.verb == "promote")
    assert promote.instead == "the shift is over"
    hold = next(one for one in options(halted, ("blue", "green"), at(0)) if one.verb == "hold")
    assert hold.risk == "none: all of the traffic is where the failback has brought it"
