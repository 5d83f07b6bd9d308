"""The laws of the design over random lawful histories: two or three environments, one to three points, any plan."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as some

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core import unknown
from bluegreen.core.admit import Deploy, admit
from bluegreen.core.codec import decode, encode
from bluegreen.core.decide import WATCH_SECONDS_MAX, next_step, target_split
from bluegreen.core.halts import options
from bluegreen.core.phases import IllegalTransition, apply, as_split, fold
from bluegreen.core.state import ServiceState
from bluegreen.core.ways import Option
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Condition, Kind, Weights
from tests.builders import DAEMON, OPERATOR, SERVICE, state_after, the_switch
from tests.core.driver import Driver, Move, Setting, moves, settings
from tests.core.laws import finds_out, restores
from tests.invariants import real

VERBS = ("approve", "pause", "resume", "promote", "abort", "accept", "halt", "deploy", "failback", "release", "adopt",
         "restore", "leave")  # fmt: skip


@how(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(settings, moves)
def test_no_random_history_breaks_a_law(setting: Setting, history: list[Move]):
    driver = Driver(setting).run([Move("deploy"), *history])
    assert driver.records[0].event == ev.Baseline("blue", driver.records[0].event.weights)  # type: ignore[attr-defined]
    assert len(driver.records) > 1


@given(settings, moves)
def test_replay_equals_the_live_state_also_through_json(setting: Setting, history: list[Move]):
    driver = Driver(setting).run(history)
    written = [json.dumps([encode(record.event), record.at.isoformat()]) for record in driver.records]
    assert fold(SERVICE, tuple(driver.records)) == driver.state
    state = ServiceState(SERVICE)
    for record, line in zip(driver.records, written, strict=True):
        (kind, data), _ = json.loads(line)
        assert decode(kind, data) == record.event
        state = apply(
            state, ev.Record(record.id, record.at, SERVICE, record.switch, record.by, decode(kind, data), record.reason)
        )
    assert state == driver.state


@given(settings, moves)
def test_a_crash_after_any_entry_has_a_lawful_next_step(setting: Setting, history: list[Move]):
    driver = Driver(setting).run(history)
    for state, record in zip(driver.states, driver.records, strict=True):
        open_switch = state.open_switch
        if open_switch is None:
            step = next_step(state, record.at)
            assert step is None or restores(step)
            continue
        restarted = apply(state, ev.Record("x", record.at, SERVICE, open_switch.id, DAEMON, ev.Restarted(1)))
        step = next_step(restarted, record.at)
        assert restarted.points == state.points
        assert set(restarted.in_doubt) == set(state.in_doubt)
        if open_switch.condition is Condition.HALTED:
            assert step == st.AwaitOperator() or restores(step) or finds_out(step)
            assert the_switch(restarted).halt == open_switch.halt
        elif restarted.unsettled:
            assert isinstance(step, st.LookUp)
        else:
            assert step is not None


@given(settings, moves)
def test_what_the_options_call_lawful_is_admitted_and_the_rest_says_why_not(setting: Setting, history: list[Move]):
    driver, looked_at = Driver(setting), set()
    for move in history:
        driver.play(move)
        switch = driver.state.open_switch
        key = (switch.phase, switch.condition, bool(driver.state.in_doubt), switch.kind) if switch else None
        if key in looked_at:
            continue
        looked_at.add(key)
        found = options(driver.state, setting.environments, driver.now)
        if driver.halted():
            # an operator's order is being carried out, or what is unknown is being looked up: both have limits
            going = driver.state.restore is not None or unknown.pending(driver.state)
            ways = [option for option in found if option.lawful and option.verb != "hold"]
            assert going or ways, "a halt without a way on"
        for option in found:
            assert option.lawful == (option.why_not == "")
            if option.lawful and option.verb != "hold":
                _carry_out(driver, option)


def _carry_out(driver: Driver, option: Option) -> None:
    """Admit what the option's command asks for, and fold what it leads to: neither may raise."""
    verb = option.verb
    request, state = driver.request(verb), driver.state
    if isinstance(request, Deploy):
        request = replace(request, replace_warm="--replace-warm" in option.command)
    if verb == "adopt":  # lawful as long as the balancers show something new
        shown = {name: Weights.of({"blue": 3, "green": 1}) for name in state.points}
        request = type(request)(seen=shown)  # type: ignore[call-arg]
    if verb == "accept":
        halt = the_switch(state).halt
        assert halt is not None
        named = [f.check for f in halt.failed() if f.acceptable and f.check not in the_switch(state).accepted]
        request = type(request)(check=named[0], reason="known")  # type: ignore[call-arg]
    for event in admit(request, state, driver.now):
        switch = "new" if isinstance(event, ev.Requested) else (state.open_switch.id if state.open_switch else None)
        state = apply(state, ev.Record("x", driver.now, SERVICE, switch, OPERATOR, event, "because"))


@given(settings, moves, some.data())
def test_an_event_that_is_not_in_the_tables_raises_and_changes_nothing(
    setting: Setting, history: list[Move], data: some.DataObject
):
    driver = Driver(setting).run(history)
    state = driver.state
    before = repr(state)
    event = data.draw(some.sampled_from([record.event for record in driver.records]))
    switch = state.open_switch.id if state.open_switch else None
    again = ev.Record("again", driver.now, SERVICE, switch, OPERATOR, event, "because")
    with contextlib.suppress(IllegalTransition):
        assert apply(state, again).version == state.version + 1
    assert repr(state) == before


@given(settings, moves)
def test_while_a_switch_runs_or_is_paused_a_second_deployment_is_refused(setting: Setting, history: list[Move]):
    driver = Driver(setting)
    for move in [Move("deploy"), *history]:
        driver.play(move)
        switch, before = driver.state.open_switch, driver.state
        if switch is not None and switch.condition is not Condition.HALTED:
            with pytest.raises(Refused) as refusal:
                admit(driver.request("deploy"), before, driver.now)
            assert refusal.value.what
            assert driver.state is before


# --- liveness ---


def _steps_at_most(setting: Setting) -> int:
    plan = setting.plan
    waits = len(plan.steps) * ((plan.wait_seconds or 0) / WATCH_SECONDS_MAX + 2) + plan.bake_seconds / WATCH_SECONDS_MAX
    return int(12 + len(plan.steps) * (len(plan.points) + 3) + waits)


def _to_the_end(driver: Driver, bound: int) -> None:
    """All outcomes are good, and whoever is asked for approval gives it."""
    for _ in range(bound):
        if driver.state.open_switch is None:
            return
        driver.play(Move("approve" if driver.switch().awaiting_approval else "good", 1))
    raise AssertionError(f"not at its end after {bound} moves: {driver.state.switch}")


@given(settings)
def test_where_all_goes_well_a_deployment_completes_and_keeps_its_source_warm(setting: Setting):
    driver = Driver(setting)
    assert driver.ask(Move("deploy"))
    _to_the_end(driver, _steps_at_most(setting))
    switch, warm = the_switch(driver.state), driver.state.last_warm()
    assert switch.condition is Condition.COMPLETED
    assert driver.state.live == switch.candidate
    assert {real(native, switch.candidate) for native in driver.world.values()} == {1}
    assert warm is not None
    assert warm.environment == "blue"
    assert warm.protected_until == switch.ended_at + timedelta(seconds=setting.plan.keep_warm_seconds)  # type: ignore[operator]


@given(settings, some.integers(0, 40))
def test_where_all_goes_well_a_failback_completes_from_wherever_it_is_asked(setting: Setting, after: int):
    driver = Driver(setting)
    driver.ask(Move("deploy"))
    for _ in range(after):
        if driver.state.open_switch is not None:
            driver.play(Move("approve" if driver.switch().awaiting_approval else "good", 1))
    carried = driver.state.share("green") > 0
    assert driver.ask(Move("failback")) == carried
    if carried:
        _to_the_end(driver, _steps_at_most(setting))
        assert the_switch(driver.state).kind is Kind.FAILBACK
        assert the_switch(driver.state).condition is Condition.COMPLETED
        assert driver.state.live == "blue"
        assert {real(native, "blue") for native in driver.world.values()} == {1}
        assert driver.state.warm == {}


@given(settings, some.integers(0, 30))
def test_an_abort_leaves_everything_as_it_is(setting: Setting, after: int):
    driver = Driver(setting)
    driver.ask(Move("deploy"))
    for _ in range(after):
        if driver.state.open_switch is not None:
            driver.play(Move("good", 1))
    world, state = dict(driver.world), driver.state
    carried, is_open = state.share("green") > 0, state.open_switch is not None
    assert driver.ask(Move("abort")) == (is_open and not carried)
    assert driver.world == world
    assert driver.state.live == state.live
    assert driver.state.releases == state.releases
    assert driver.state.points == state.points


@given(settings, moves)
def test_from_wherever_it_came_to_a_halt_can_be_brought_to_an_end(setting: Setting, history: list[Move]):
    driver = Driver(setting).run([Move("deploy"), *history])
    for number in range(8):  # answers, and the balancers as the journal says, until nothing is wrong
        # a candidate that got traffic by another hand is not deployed over: there the way on is the way back
        for word in ("repair", "look", "adopt", "resume" if number < 4 else "failback", "approve"):
            driver.play(Move(word, 1))
        for _ in range(_steps_at_most(setting)):
            driver.play(Move("good", 1))
            if driver.state.open_switch is not None and driver.switch().awaiting_approval:
                driver.play(Move("approve", 1))
    assert driver.state.open_switch is None


# --- splits ---

natives = some.dictionaries(
    some.sampled_from(["blue", "green", "red"]), some.integers(0, 999), min_size=3, max_size=3
).filter(lambda native: sum(native.values()) > 0)


@given(natives, natives, some.integers(1, WHOLE))
def test_a_split_always_adds_up_to_all_and_never_lowers_the_candidate(
    base: dict[str, int], current: dict[str, int], share: int
):
    switch = replace(the_switch(state_after("requested")), base={"lb": as_split(Weights.of(base))})
    split = target_split(switch, "lb", Weights.of(current), share)
    assert split.total == WHOLE
    assert split["green"] == split.share("green") == max(share, Weights.of(current).share("green"))


@given(natives)
def test_shares_are_never_rounded_to_none_or_to_all(native: dict[str, int]):
    shown = Weights.of(native)
    for name, weight in native.items():
        assert (shown.share(name) == 0) == (weight == 0)
        assert (shown.share(name) == WHOLE) == (weight == shown.total)
        assert abs(Fraction(shown.share(name), WHOLE) - Fraction(weight, shown.total)) <= Fraction(1, WHOLE)
