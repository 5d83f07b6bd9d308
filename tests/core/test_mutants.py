"""Each law has teeth: a core with one bug planted is caught by the law that the bug breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.decide import next_step
from bluegreen.core.phases import IllegalTransition, apply
from bluegreen.core.state import Point, ServiceState
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Condition, Phase, Plan, Weights
from tests.core.driver import MEDDLED, ODDS, Driver, Rules, Setting, random_moves
from tests.invariants import LawBroken

HISTORIES = 150
PLAN = Plan(("lb0", "lb1"), (50, 500, WHOLE), 20.0, 20.0, 600.0)
SETTING = Setting(("blue", "green", "red"), PLAN, Plan(PLAN.points, (WHOLE,)), replace_warm=True)


def _sound(state: ServiceState, now: datetime) -> st.Step | None:
    return next_step(state, now)


# --- planted in `next_step` ---


def _rolls_back_after_a_failure(state: ServiceState, now: datetime) -> st.Step | None:
    step, switch = next_step(state, now), state.open_switch
    if isinstance(step, st.SetWeights) and switch is not None and switch.halts:
        return st.SetWeights(step.point, step.expected, Weights.of({switch.source: WHOLE, switch.candidate: 0}))
    return step


def _ends_a_halt_after_an_hour(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    if switch is not None and switch.halt is not None and now - switch.halt.at >= timedelta(hours=1):
        return next_step(replace(state, switch=replace(switch, condition=Condition.RUNNING)), now)
    return next_step(state, now)


def _looks_nothing_up(state: ServiceState, now: datetime) -> st.Step | None:
    return next_step(replace(state, unsettled={}), now)


def _deploys_again_unasked(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    return next_step(replace(state, switch=replace(switch, open=None)) if switch else state, now)


def _gives_traffic_before_smoke(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    if switch is not None and switch.phase is Phase.SMOKE and switch.condition is Condition.RUNNING:
        return next_step(replace(state, switch=replace(switch, phase=Phase.SHIFT, proven=True)), now)
    return next_step(state, now)


def _believes_an_old_proof(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    return next_step(replace(state, switch=replace(switch, proven=True)) if switch else state, now)


def _gives_nobody_any_traffic(state: ServiceState, now: datetime) -> st.Step | None:
    step = next_step(state, now)
    if isinstance(step, st.SetWeights):
        return replace(step, split=Weights.of(dict.fromkeys(step.split, 0)))
    return step


def _fails_back_by_itself(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    if switch is not None and switch.phase is Phase.BAKE and switch.condition is Condition.RUNNING:
        return st.Conclude(ev.FailedBack("auto"))
    return next_step(state, now)


def _completes_with_less_than_everything(state: ServiceState, now: datetime) -> st.Step | None:
    step, switch = next_step(state, now), state.open_switch
    if isinstance(step, st.SetWeights) and switch is not None and switch.phase is Phase.SHIFT:
        return st.Conclude(ev.Shifted())
    if isinstance(step, st.SetWeights):
        return st.Conclude(ev.Baked() if switch and switch.phase is Phase.BAKE else ev.KeptWarm(None, None))
    return step


# --- planted in `apply` ---


def _a_restart_ends_a_halt(state: ServiceState, record: ev.Record) -> ServiceState:
    after = apply(state, record)
    if isinstance(record.event, ev.Restarted) and after.switch is not None:
        return replace(after, switch=replace(after.switch, condition=Condition.RUNNING, halt=None))
    return after


def _a_restart_forgets_writes(state: ServiceState, record: ev.Record) -> ServiceState:
    after = apply(state, record)
    return replace(after, unsettled=state.unsettled) if isinstance(record.event, ev.Restarted) else after


def _takes_intent_for_outcome(state: ServiceState, record: ev.Record) -> ServiceState:
    after, event = apply(state, record), record.event
    if isinstance(event, ev.WeightsUnchanged) and event.point in state.unsettled:
        change = state.unsettled[event.point]
        return replace(after, points={**after.points, event.point: Point(change.target, change.split)})
    return after


def _begins_a_second_switch(state: ServiceState, record: ev.Record) -> ServiceState:
    return apply(replace(state, switch=None) if isinstance(record.event, ev.Requested) else state, record)


def _admits_anything(request: ad.AnyRequest, state: ServiceState, now: datetime) -> Sequence[ev.Event]:
    return ad.admit(request, replace(state, switch=None) if isinstance(request, ad.Deploy) else state, now)


# --- planted around an operator's order to restore ---


def _restores_unasked(state: ServiceState, now: datetime) -> st.Step | None:
    step = next_step(state, now)
    if state.drift and state.restore is None and step in (None, st.AwaitOperator()):
        drift = next(iter(state.drift.values()))
        return st.Restore(drift.point, drift.seen, drift.expected)
    return step


def _fresh(state: ServiceState, now: datetime) -> bool:
    return state.restore is not None and abs(now - state.restore.word.at) < timedelta(minutes=15)


def _restores_whatever_is_shown(state: ServiceState, now: datetime) -> st.Step | None:
    step = next_step(state, now)
    if isinstance(step, st.Conclude) and isinstance(step.event, ev.RestoreRefused) and _fresh(state, now):
        drift = state.drift[step.event.point]
        return st.Restore(drift.point, drift.seen, drift.expected)
    return step


def _carries_out_an_old_word(state: ServiceState, now: datetime) -> st.Step | None:
    order = state.restore
    return next_step(state, now if order is None else order.word.at)


def _writes_again_instead_of_looking(state: ServiceState, now: datetime) -> st.Step | None:
    step = next_step(state, now)
    if isinstance(step, st.LookUpRestore) and _fresh(state, now):
        return st.Restore(step.point, step.shown, step.target)
    return step


def _takes_an_unmade_restore_for_made(state: ServiceState, record: ev.Record) -> ServiceState:
    if isinstance(record.event, ev.RestoreUnmade) and state.restore is not None and state.restore.writing is not None:
        event = ev.Restored(record.event.point, state.restore.writing.change.target)
        return apply(state, replace(record, event=event))
    return apply(state, record)


def _forgets_a_lost_restore(state: ServiceState, record: ev.Record) -> ServiceState:
    after = apply(state, record)
    return replace(after, restore=None) if isinstance(record.event, ev.RestoreLost | ev.RestoreUnread) else after


def _a_restore_ends_a_halt(state: ServiceState, record: ev.Record) -> ServiceState:
    after = apply(state, record)
    if isinstance(record.event, ev.Restored) and after.open_switch is not None:
        return replace(after, switch=replace(after.open_switch, condition=Condition.RUNNING, halt=None))
    return after


def _resumes_over_drift(request: ad.AnyRequest, state: ServiceState, now: datetime) -> Sequence[ev.Event]:
    return ad.admit(request, replace(state, drift={}) if isinstance(request, ad.Resume) else state, now)


@pytest.mark.parametrize(
    ("law", "rules"),
    [
        ("1", Rules(next_step=_rolls_back_after_a_failure)),
        ("2", Rules(next_step=_ends_a_halt_after_an_hour)),
        ("2", Rules(apply=_a_restart_ends_a_halt)),
        ("3", Rules(next_step=_looks_nothing_up)),
        ("once", Rules(next_step=_deploys_again_unasked)),
        ("3", Rules(apply=_a_restart_forgets_writes)),
        ("4", Rules(apply=_takes_intent_for_outcome)),
        ("plan", Rules(next_step=_completes_with_less_than_everything)),
        ("5", Rules(next_step=_gives_traffic_before_smoke)),
        ("5", Rules(next_step=_believes_an_old_proof)),
        ("6", Rules(apply=_begins_a_second_switch, admit=_admits_anything)),
        ("9", Rules(next_step=_fails_back_by_itself)),
        ("4", Rules(next_step=_restores_unasked)),
        ("4", Rules(next_step=_restores_whatever_is_shown)),
        ("9", Rules(next_step=_carries_out_an_old_word)),
        ("3", Rules(next_step=_writes_again_instead_of_looking)),
        ("4", Rules(apply=_takes_an_unmade_restore_for_made)),
        ("3", Rules(apply=_forgets_a_lost_restore)),
        ("2", Rules(apply=_a_restore_ends_a_halt)),
        ("4", Rules(admit=_resumes_over_drift)),
        ("sum", Rules(next_step=_gives_nobody_any_traffic)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_bug_is_caught_by_its_law(law: str, rules: Rules):
    with pytest.raises(LawBroken, match=rf"^law {law}: "):
        _play(rules)


def test_the_same_histories_find_nothing_in_the_sound_core():
    assert _play(Rules(next_step=_sound), histories=40) == 40


def _play(rules: Rules, histories: int = HISTORIES) -> int:
    """How many histories were played; what the planted bug breaks besides a law is not what is looked for."""
    played = 0
    for seed in range(histories):
        try:
            Driver(SETTING, rules).run(random_moves(seed, odds=MEDDLED if seed % 2 else ODDS))
            played += 1
        except (IllegalTransition, Refused):
            continue
    return played
