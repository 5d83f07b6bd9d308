"""What a look at the balancers means between the writes: first sight, drift, drift gone. Pure.

Somebody else's change is never overwritten: it halts a switch that runs, and is on record where none runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from bluegreen.core import events as ev
from bluegreen.core.phases import as_split, sole_live
from bluegreen.core.state import Point, ServiceState
from bluegreen.model import Cause, Condition, Weights

UNREAD_SECONDS_MAX = 120.0
"""How long a switch goes on while a switch point cannot be read."""


def judge(
    state: ServiceState,
    seen: Mapping[str, Weights | None],
    wrong: Mapping[str, str] = MappingProxyType({}),
    good_at: Mapping[str, datetime] = MappingProxyType({}),
) -> Sequence[ev.Event]:
    """The events that a look leads to. `seen` has every configured switch point; None where it could not be read:
    unreadable is unknown, neither changed nor unchanged.

    `wrong` is what a balancer says for certain in place of weights (the listener is gone): that is a change like any
    other. `good_at` is when each point last showed what was expected.
    """
    gone = [ev.PointForgotten(name) for name in state.points if name not in seen and state.open_switch is None]
    shown = {name: weights for name, weights in seen.items() if weights is not None}
    return (
        *gone,
        *_first_sight(state, seen, shown),
        *_readable_again(state, shown),
        *_drift(state, shown, wrong, good_at),
    )


def unreadable(state: ServiceState, since: Mapping[str, datetime], seconds: Mapping[str, float]) -> Sequence[ev.Event]:
    """A switch halts when a switch point could not be read for too long: nobody knows where its traffic is."""
    switch = state.open_switch
    if switch is None or switch.condition is Condition.HALTED:
        return ()
    gone = [name for name in switch.plan.points if seconds.get(name, 0.0) >= UNREAD_SECONDS_MAX]
    if not gone:
        return ()
    what = "; ".join(f"{name} cannot be read since {since[name]:%Y-%m-%d %H:%M:%S} UTC" for name in gone)
    return (
        ev.Halted(
            halt=switch.next_halt(),
            phase=switch.phase,
            cause=Cause.BALANCER_UNREACHABLE,
            summary=f"{what}: where its traffic is, is not known",
            advice="look at the balancer and at the way to it, then `resume`",
        ),
    )


def why_unknown(state: ServiceState, seen: Mapping[str, Weights | None]) -> str | None:
    """Why it is not known which environment is live; None when it is known."""
    if state.live is not None:
        return None
    unread = sorted(name for name, weights in seen.items() if weights is None)
    if unread or not seen:
        return f"not read yet, or unreadable: {', '.join(unread) or 'every switch point'}"
    splits = "; ".join(f"{name} shows {weights}" for name, weights in seen.items())
    return f"no one environment has all of the traffic on every switch point: {splits}"


def _first_sight(
    state: ServiceState, seen: Mapping[str, Weights | None], shown: Mapping[str, Weights]
) -> Sequence[ev.Event]:
    new = {name: weights for name, weights in shown.items() if name not in state.points}
    if state.open_switch is not None or not new or len(shown) < len(seen):
        return ()
    live = sole_live({name: Point(weights, as_split(weights)) for name, weights in shown.items()})
    if state.live is None:
        return (ev.Baseline(live, shown),) if live is not None else ()
    return (ev.Adopted(new),) if live == state.live else ()


def _readable_again(state: ServiceState, shown: Mapping[str, Weights]) -> Sequence[ev.Event]:
    """A restoring write whose outcome could not be looked up is looked up now."""
    order = state.restore
    if order is None or order.writing is not None:
        return ()
    return [ev.RestoreLost(name, "it can be read again") for name in order.unread if name in shown][:1]


def _drift(
    state: ServiceState, shown: Mapping[str, Weights], wrong: Mapping[str, str], good_at: Mapping[str, datetime]
) -> Sequence[ev.Event]:
    found: list[ev.Event] = []
    looked_at = {**{name: (weights, "") for name, weights in shown.items()},
                 **{name: (Weights.of({}), what) for name, what in wrong.items()}}  # fmt: skip
    for name, (weights, what) in looked_at.items():
        if name not in state.points or name in state.unsettled or _in_doubt(state, name):
            continue
        expected, known = state.points[name].native, state.drift.get(name)
        if not what and weights.same_split(expected):
            found.extend([ev.DriftGone(name)] if known else [])
        elif known is None or not known.is_same(weights, what):
            found.append(ev.DriftSeen(name, expected, weights, what, good_at.get(name)))
    drifted = [event for event in found if isinstance(event, ev.DriftSeen)]
    switch = state.open_switch
    if switch is not None and drifted and switch.condition is not Condition.HALTED:
        found.append(
            ev.Halted(
                halt=switch.next_halt(),
                phase=switch.phase,
                cause=Cause.DRIFT,
                summary=f"somebody else changed the balancer: {'; '.join(_told(event) for event in drifted)}",
                advice=f"put it right there, or: bluegreen restore {state.service}, "
                f"or take it as it is: bluegreen adopt {state.service}; then `resume`",
            )
        )
    return found


def _told(event: ev.DriftSeen) -> str:
    shows = event.what or f"shows {event.seen if event.seen.total else 'no weight for anybody'}"
    since = f" (as it still did at {event.good_at:%H:%M:%S} UTC)" if event.good_at else ""
    return f"{event.point} {shows}, expected was {event.expected}{since}"


def _in_doubt(state: ServiceState, point: str) -> bool:
    return state.restore is not None and point in state.restore.in_doubt
