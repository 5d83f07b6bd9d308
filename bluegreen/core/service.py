"""What the entries that belong to no switch do to their service: first sight, drift, cards, warm environments. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from bluegreen.core import events as ev
from bluegreen.core.restoring import without
from bluegreen.core.state import Drift, IllegalTransition, Point, ServiceState
from bluegreen.model import WHOLE, Release, Warm, Weights

OfService = (
    ev.Baseline | ev.Adopted | ev.DriftSeen | ev.DriftGone | ev.PointForgotten | ev.WarmReleased | ev.CardTaken
    | ev.Distrusted | ev.ClockMoved
)  # fmt: skip


def apply(state: ServiceState, record: ev.Record, event: OfService) -> ServiceState:
    """One entry further. Raises IllegalTransition."""
    match event:
        case ev.Baseline(live=live, weights=weights):
            releases = {**state.releases}
            releases.setdefault(live, Release(version=None, since=record.at))
            return replace(state, live=live, points=recorded(state, weights), releases=releases, drift={})
        case ev.Adopted(weights=weights):
            points = recorded(state, weights)
            drift = {name: drift for name, drift in state.drift.items() if name not in weights}
            unsettled = {name: change for name, change in state.unsettled.items() if name not in weights}
            taken = replace(state, points=points, drift=drift, unsettled=unsettled, distrust="")
            return taken if state.open_switch else with_live(taken, sole_live(points) or state.live)
        case ev.DriftSeen(point=point, expected=expected, seen=seen, what=what, good_at=good_at):
            drifted = Drift(point, expected, seen, record.at, record.id, what, good_at)
            return replace(state, drift={**state.drift, point: drifted})
        case ev.DriftGone(point=point):
            return replace(state, drift=without(state.drift, point))
        case ev.PointForgotten(point=point):
            return replace(
                state,
                points=without(state.points, point),
                drift=without(state.drift, point),
                unsettled=without(state.unsettled, point),
            )
        case ev.WarmReleased(environment=environment):
            return replace(state, warm=without(state.warm, environment))
        case ev.CardTaken():
            return _from_card(state, record, event)
        case ev.Distrusted(why=why):
            return replace(state, distrust=why)
        case ev.ClockMoved(seconds=seconds):
            moved = timedelta(seconds=seconds)
            warm = {name: replace(w, protected_until=w.protected_until + moved) for name, w in state.warm.items()}
            return _aging(replace(state, warm=warm), moved)
    assert_never(event)


def _aging(state: ServiceState, moved: timedelta) -> ServiceState:
    """What ages goes on aging by the new time. A word never gets younger: when the clock goes on, the host may as well
    have slept, and people may have done something else meanwhile."""
    if (switch := state.open_switch) is None:
        return state
    preflight = switch.preflight_at + moved if switch.preflight_at is not None else None
    word = switch.word_at + min(moved, timedelta())
    return replace(state, switch=replace(switch, preflight_at=preflight, word_at=word))


def _from_card(state: ServiceState, record: ev.Record, event: ev.CardTaken) -> ServiceState:
    if state.open_switch is not None:
        raise IllegalTransition(f"{state.service}: a card is taken while {state.open_switch.id} is open")
    told = {name: Release(version, since=record.at) for name, version in event.versions.items()}
    return replace(
        state,
        live=event.live,
        points=recorded(state, event.weights),
        releases={**state.releases, **told},
        warm={event.warm: Warm(event.warm, record.at, record.at)},
        drift={},
        unsettled={},
        restore=None,
        distrust="",
        receipts=state.receipts | {event.receipt},
    )


def recorded(state: ServiceState, weights: Mapping[str, Weights]) -> dict[str, Point]:
    return {**state.points, **{name: Point(native, as_split(native)) for name, native in weights.items()}}


def as_split(native: Weights) -> Weights:
    """Weights as shares in tenths of a percent; they add up to WHOLE but for rounding."""
    return Weights.of({name: native.share(name) for name in native})


def sole_live(points: Mapping[str, Point]) -> str | None:
    """The one environment with all of the traffic on every switch point, if there is one."""
    candidates = [{name for name in point.native if point.native.share(name) == WHOLE} for point in points.values()]
    common = set.intersection(*candidates) if candidates else set()
    return next(iter(common)) if len(common) == 1 else None


def with_live(state: ServiceState, live: str | None) -> ServiceState:
    """What is live is not kept warm."""
    return replace(state, live=live, warm={name: kept for name, kept in state.warm.items() if name != live})
