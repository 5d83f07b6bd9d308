"""What a look at the balancers means between the writes: first sight, drift, drift gone. Pure.

Somebody else's change is never overwritten: it halts a switch that runs, and is on record where none runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bluegreen.core import events as ev
from bluegreen.core.phases import as_split, sole_live
from bluegreen.core.state import Point, ServiceState
from bluegreen.model import Cause, Condition, Weights


def judge(state: ServiceState, seen: Mapping[str, Weights | None]) -> Sequence[ev.Event]:
    """The events that a look leads to. `seen` has every configured switch point; None where it could not be read:
    unreadable is unknown, neither changed nor unchanged."""
    gone = [ev.PointForgotten(name) for name in state.points if name not in seen and state.open_switch is None]
    shown = {name: weights for name, weights in seen.items() if weights is not None}
    return (*gone, *_first_sight(state, seen, shown), *_drift(state, shown))


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


def _drift(state: ServiceState, shown: Mapping[str, Weights]) -> Sequence[ev.Event]:
    found: list[ev.Event] = []
    for name, weights in shown.items():
        if name not in state.points or name in state.unsettled:
            continue
        expected, known = state.points[name].native, state.drift.get(name)
        if weights.same_split(expected):
            found.extend([ev.DriftGone(name)] if known else [])
        elif known is None or not known.seen.same_split(weights):
            found.append(ev.DriftSeen(name, expected, weights))
    drifted = [event for event in found if isinstance(event, ev.DriftSeen)]
    switch = state.open_switch
    if switch is not None and drifted and switch.condition is not Condition.HALTED:
        what = "; ".join(f"{e.point} shows {e.seen}, expected was {e.expected}" for e in drifted)
        found.append(
            ev.Halted(
                halt=switch.next_halt(),
                phase=switch.phase,
                cause=Cause.DRIFT,
                summary=f"somebody else changed the balancer: {what}",
                advice=f"put it right there and `resume`, or take it as it is: bluegreen adopt {state.service}",
            )
        )
    return found
