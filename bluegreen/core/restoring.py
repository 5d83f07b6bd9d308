"""An operator's answers to a drift, folded and decided: `restore` and `leave`, and who changed the balancer. Pure.

A restore is the one write that is made without a switch, or while one is halted. The invariants:
* it is made by an operator's order, only on top of exactly the weights that the order was given for (law 4);
* each switch point is tried once; a lost answer is looked up before anything else is done (law 3);
* it goes on after a crash only where the write surely was not made, and the operator's word is still fresh;
* a switch that is halted stays halted.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar, assert_never

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.state import Change, Drift, Hand, IllegalTransition, Point, Restore, ServiceState, Word, Writing
from bluegreen.model import Weights

WORD_SECONDS_MAX = 15 * 60.0
"""How long an operator's order may be carried out; an older one is not: nobody may be watching any more."""
HANDS_MAX = 5

V = TypeVar("V")


# --- what to do next ---


def next_step(state: ServiceState, now: datetime) -> st.Step | None:
    """The next thing to do for the operator's order; None where there is none, or only unreadable points are left."""
    order = state.restore
    if order is None:
        return None
    if order.writing is not None:
        return st.LookUpRestore(order.writing.point, order.writing.change.expected, order.writing.change.target)
    for point, shown in order.shown.items():
        why_not = _why_not(state, order, point, shown, now)
        if why_not:
            return st.Conclude(ev.RestoreRefused(point, why_not, f"look again: bluegreen explain {state.service}"))
        return st.Restore(point, shown, state.points[point].native)
    return None


def _why_not(state: ServiceState, order: Restore, point: str, shown: Weights, now: datetime) -> str:
    drift = state.drift[point]
    if not drift.is_same(shown, ""):
        return f"{point} {drift.shows} now; the order was given for {shown}: nothing was written"
    if abs(now - order.word.at) > timedelta(seconds=WORD_SECONDS_MAX):
        minutes = WORD_SECONDS_MAX / 60
        return f"the order is older than {minutes:g} minutes: nothing was written to {point}, it stays as it is"
    return ""


# --- the fold ---


def apply(state: ServiceState, record: ev.Record, event: ev.OfDrift) -> ServiceState:
    """One entry further. Raises IllegalTransition."""
    match event:
        case ev.DriftTraced(point=point, who=who, what=what, at=at):
            drift = _drift(state, point)
            return _with(state, replace(drift, hands=(*drift.hands, Hand(who, what, at))[-HANDS_MAX:]))
        case ev.DriftLeft(seen=seen):
            word = Word(record.by, record.at, record.reason)
            for point in seen:
                state = _with(state, replace(_drift(state, point), left=word))
            return state
        case ev.RestoreAsked(shown=shown):
            return _asked(state, record, shown)
        case ev.RestoreStarted(point=point, shown=shown, target=target):
            order = _order(state)
            if order.writing is not None or point not in order.shown:
                raise IllegalTransition(f"{state.service}: {point} is not next to be restored")
            change = Change(shown, target, state.points[point].split)
            return replace(state, restore=replace(order, writing=Writing(point, change)))
        case ev.Restored(point=point, weights=weights):
            _writing(state, point)
            points = {**state.points, point: Point(weights, state.points[point].split)}
            return replace(_done(state, {point}), points=points, drift=without(state.drift, point))
        case ev.RestoreRefused(point=point, summary=summary):
            if point not in _order(state).shown:
                raise IllegalTransition(f"{state.service}: nobody ordered to restore {point}")
            return _with(_done(state, {point}), replace(_drift(state, point), refused=summary))
        case ev.RestoreLost(point=point, reason=reason):
            return _lost(state, point, reason)
        case ev.RestoreUnmade(point=point):
            lost = _writing(state, point).lost
            if not lost:  # the process had ended: the operator's word still stands
                return replace(state, restore=replace(_order(state), writing=None))
            told = f"the write was lost on its way and surely was not made: {lost}"
            return _with(_done(state, {point}), replace(_drift(state, point), refused=told))
        case ev.RestoreUnread(point=point):
            unread = {**_order(state).unread, point: _writing(state, point).change}
            rest = without(_order(state).shown, point)
            return replace(state, restore=replace(_order(state), shown=rest, writing=None, unread=unread))
    assert_never(event)


def after(state: ServiceState, event: ev.Event) -> ServiceState:
    """What other entries do to the order: a point that was adopted, put right or forgotten is no longer its matter."""
    match event:
        case ev.Baseline(weights=settled) | ev.Adopted(weights=settled):
            return _done(state, settled.keys())
        case ev.DriftGone(point=point) | ev.PointForgotten(point=point):
            return _done(state, {point})
        case _:
            return state


def without(mapping: Mapping[str, V], name: str) -> Mapping[str, V]:
    """The mapping, and one name less."""
    return {key: value for key, value in mapping.items() if key != name}


# --- parts of it ---


def _asked(state: ServiceState, record: ev.Record, shown: Mapping[str, Weights]) -> ServiceState:
    if state.restore is not None:
        raise IllegalTransition(f"{state.service}: an order to restore is being carried out already")
    for point in shown:
        state = _with(state, replace(_drift(state, point), refused=""))
    return replace(state, restore=Restore(Word(record.by, record.at, record.reason), shown))


def _lost(state: ServiceState, point: str, reason: str) -> ServiceState:
    """The answer of what is under way is lost; or what could not be looked up before can be read again."""
    order = _order(state)
    if order.writing is not None and order.writing.point == point:
        return replace(state, restore=replace(order, writing=replace(order.writing, lost=reason)))
    if point not in order.unread or order.writing is not None:
        raise IllegalTransition(f"{state.service}: no write to {point} is in doubt")
    change = order.unread[point]
    again = replace(order, shown={**order.shown, point: change.expected}, unread=without(order.unread, point))
    return replace(state, restore=replace(again, writing=Writing(point, change, reason)))


def _done(state: ServiceState, points: Set[str]) -> ServiceState:
    """The order has ended for these points, however."""
    order = state.restore
    if order is None:
        return state
    shown = {name: weights for name, weights in order.shown.items() if name not in points}
    unread = {name: change for name, change in order.unread.items() if name not in points}
    writing = None if order.writing is not None and order.writing.point in points else order.writing
    return replace(state, restore=Restore(order.word, shown, writing, unread) if shown or unread else None)


def _with(state: ServiceState, drift: Drift) -> ServiceState:
    return replace(state, drift={**state.drift, drift.point: drift})


def _drift(state: ServiceState, point: str) -> Drift:
    if point not in state.drift:
        raise IllegalTransition(f"{state.service}: {point} shows what the journal says")
    return state.drift[point]


def _order(state: ServiceState) -> Restore:
    if state.restore is None:
        raise IllegalTransition(f"{state.service}: nobody ordered to restore anything")
    return state.restore


def _writing(state: ServiceState, point: str) -> Writing:
    writing = _order(state).writing
    if writing is None or writing.point != point:
        raise IllegalTransition(f"{state.service}: no write to {point} is under way")
    return writing
