"""The transition table, and the fold of the journal over it.

A move of a switch is an entry in TRANSITIONS (where it stands) and in CONDITIONS (how it fares). An event is lawful
when both have an entry for it; a missing entry is the error. The diagram in README.md is drawn from these tables.

The invariants that `apply` keeps, whatever the events:
* weights on record are only ever what a balancer showed;
* a write without an outcome is on record as unsettled until it has been looked up;
* the condition `halted` is left only by an event that an operator alone can cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import assert_never, get_args

from bluegreen.core import events as ev
from bluegreen.core import notes, restoring, service
from bluegreen.core.counts import WORD_SECONDS, counted
from bluegreen.core.service import as_split, sole_live
from bluegreen.core.state import (
    KEYS_MAX,
    PAST_MAX,
    Change,
    IllegalTransition,
    OpenStep,
    Operation,
    Point,
    ServiceState,
    Switch,
)
from bluegreen.model import Cause, Condition, Kind, Phase, Release, Warm, Weights

__all__ = ["CONDITIONS", "TRANSITIONS", "WORD_SECONDS", "IllegalTransition", "apply", "as_split", "fold", "sole_live"]

Moves = Mapping[type[ev.Event], Phase]


def _moves(phase: Phase, onward: Moves) -> Moves:
    """What may happen in a phase: its own way onward, what keeps it where it is, and the ends."""
    stays = (ev.StepStarted, ev.Halted, ev.Paused, ev.Resumed, ev.CheckAccepted, ev.Restarted)
    settles = (ev.WeightsSet, ev.WeightsUnchanged, ev.OutcomeLost)
    ends = (ev.Aborted, ev.FailedBack, ev.Superseded)
    return MappingProxyType(
        {
            **dict.fromkeys((*stays, *settles), phase),
            **dict.fromkeys(ends, Phase.ENDED),
            **onward,
        }
    )


TRANSITIONS: Mapping[Phase, Moves] = MappingProxyType(
    {
        Phase.PREFLIGHT: _moves(Phase.PREFLIGHT, {ev.PreflightPassed: Phase.DEPLOY, ev.WarmProven: Phase.SHIFT}),
        Phase.DEPLOY: _moves(
            Phase.DEPLOY,
            {ev.PreflightPassed: Phase.DEPLOY, ev.Deployed: Phase.WAIT_HEALTHY, ev.DeployNotMade: Phase.DEPLOY},
        ),
        Phase.WAIT_HEALTHY: _moves(Phase.WAIT_HEALTHY, {ev.BecameHealthy: Phase.SMOKE}),
        Phase.SMOKE: _moves(Phase.SMOKE, {ev.SmokePassed: Phase.SHIFT}),
        Phase.SHIFT: _moves(
            Phase.SHIFT,
            {
                ev.SmokePassed: Phase.SHIFT,
                ev.WarmProven: Phase.SHIFT,
                ev.Watched: Phase.SHIFT,
                ev.ApprovalAwaited: Phase.SHIFT,
                ev.Approved: Phase.SHIFT,
                ev.Promoted: Phase.SHIFT,
                ev.StepReached: Phase.SHIFT,
                ev.Shifted: Phase.BAKE,
            },
        ),
        Phase.BAKE: _moves(
            Phase.BAKE,
            {
                ev.SmokePassed: Phase.BAKE,
                ev.WarmProven: Phase.BAKE,
                ev.Watched: Phase.BAKE,
                ev.Baked: Phase.KEEP_WARM,
            },
        ),
        Phase.KEEP_WARM: _moves(
            Phase.KEEP_WARM,
            {ev.SmokePassed: Phase.KEEP_WARM, ev.WarmProven: Phase.KEEP_WARM, ev.KeptWarm: Phase.ENDED},
        ),
        Phase.ENDED: MappingProxyType({}),
    }
)

Outcome = (
    ev.PreflightPassed
    | ev.WarmProven
    | ev.Deployed
    | ev.DeployNotMade
    | ev.BecameHealthy
    | ev.SmokePassed
    | ev.WeightsSet
    | ev.WeightsUnchanged
    | ev.OutcomeLost
)
"""How a step under way ends. It may end while the switch is paused or halted: a fact is a fact."""
_OUTCOMES: tuple[type[ev.Event], ...] = get_args(Outcome)

CONDITIONS: Mapping[Condition, Mapping[type[ev.Event], Condition]] = MappingProxyType(
    {
        Condition.RUNNING: MappingProxyType(
            {
                **dict.fromkeys(_OUTCOMES, Condition.RUNNING),
                **dict.fromkeys(
                    (ev.StepStarted, ev.Restarted, ev.Watched, ev.StepReached, ev.Shifted, ev.Baked, ev.Promoted),
                    Condition.RUNNING,
                ),
                ev.Paused: Condition.PAUSED,
                ev.ApprovalAwaited: Condition.PAUSED,
                ev.Halted: Condition.HALTED,
                ev.KeptWarm: Condition.COMPLETED,
                ev.Aborted: Condition.ABORTED,
                ev.FailedBack: Condition.FAILED_BACK,
            }
        ),
        Condition.PAUSED: MappingProxyType(
            {
                **dict.fromkeys(_OUTCOMES, Condition.PAUSED),
                **dict.fromkeys((ev.StepStarted, ev.Restarted), Condition.PAUSED),
                **dict.fromkeys((ev.Resumed, ev.Approved, ev.Promoted), Condition.RUNNING),
                ev.Halted: Condition.HALTED,
                ev.Aborted: Condition.ABORTED,
                ev.FailedBack: Condition.FAILED_BACK,
            }
        ),
        Condition.HALTED: MappingProxyType(
            {
                **dict.fromkeys(_OUTCOMES, Condition.HALTED),
                **dict.fromkeys((ev.Restarted, ev.Halted, ev.CheckAccepted), Condition.HALTED),
                **dict.fromkeys((ev.Resumed, ev.Promoted), Condition.RUNNING),
                ev.Aborted: Condition.ABORTED,
                ev.FailedBack: Condition.FAILED_BACK,
                ev.Superseded: Condition.SUPERSEDED,
            }
        ),
        Condition.COMPLETED: MappingProxyType({}),
        Condition.ABORTED: MappingProxyType({}),
        Condition.FAILED_BACK: MappingProxyType({}),
        Condition.SUPERSEDED: MappingProxyType({}),
    }
)


def fold(service: str, records: tuple[ev.Record, ...]) -> ServiceState:
    """The state that a service's journal adds up to. Raises IllegalTransition."""
    state = ServiceState(service)
    for record in records:
        state = apply(state, record)
    return state


def apply(state: ServiceState, record: ev.Record) -> ServiceState:
    """One entry further. Raises IllegalTransition, changing nothing, where the tables have no entry for the event."""
    if not record.by:
        raise IllegalTransition(f"{state.service}: {type(record.event).__name__} has no name on it")
    match record.event:
        case ev.Requested():
            changed = _begin(state, record, record.event)
        case event if isinstance(event, service.OfService):
            changed = restoring.after(service.apply(state, record, event), event)
        case event if isinstance(event, ev.OfDrift):
            changed = restoring.apply(state, record, event)
        case notes.NoteEvent():
            changed = state
        case _:
            changed = _of_switch(state, record)
    noted = notes.fold(state, changed, record)
    return replace(changed, version=state.version + 1, at=record.at, keys=_remember_key(changed, record), notes=noted)


def _remember_key(state: ServiceState, record: ev.Record) -> Mapping[str, tuple[str, str | None]]:
    if record.key is None:
        return state.keys
    kept = {**state.keys, record.key: (record.key_digest or "", record.switch)}
    return dict(list(kept.items())[-KEYS_MAX:])


# --- a switch ---


def _begin(state: ServiceState, record: ev.Record, event: ev.Requested) -> ServiceState:
    if state.open_switch is not None or record.switch is None:
        raise IllegalTransition(f"{state.service}: a switch begins while {state.switch and state.switch.id} is open")
    if event.switch_kind is Kind.FAILBACK and not record.reason:
        raise IllegalTransition(f"{state.service}: failback {record.switch} has no reason on it")
    switch = Switch(
        id=record.switch,
        kind=event.switch_kind,
        service=state.service,
        candidate=event.candidate,
        source=event.source,
        version=event.version,
        artifact=event.artifact,
        plan=event.plan,
        steps=event.plan.steps,
        base={name: as_split(weights) for name, weights in event.base.items()},
        config=event.config,
        config_hash=event.config_hash,
        requested_by=record.by,
        reason=record.reason,
        changes=event.changes,
        acknowledged=event.acknowledged,
        started_at=record.at,
        word_at=record.at,
        changed_at=record.at,
    )
    past = state.past if state.switch is None else (*state.past, state.switch)[-PAST_MAX:]
    warm = state.warm
    if event.switch_kind is Kind.DEPLOYMENT:
        warm = {name: kept for name, kept in warm.items() if name != event.candidate}
    return replace(state, switch=switch, past=past, warm=warm)


def _of_switch(state: ServiceState, record: ev.Record) -> ServiceState:
    switch, event = state.open_switch, record.event
    if switch is None or record.switch != switch.id:
        raise IllegalTransition(f"{state.service}: {type(event).__name__} belongs to no open switch")
    phase = TRANSITIONS[switch.phase].get(type(event))
    condition = CONDITIONS[switch.condition].get(type(event))
    if phase is None or condition is None:
        raise IllegalTransition(
            f"{switch.id}: {type(event).__name__} is not lawful in phase {switch.phase}, condition {switch.condition}"
        )
    if isinstance(event, ev.Aborted) and state.share(switch.candidate) > 0:
        raise IllegalTransition(f"{switch.id}: aborted while {switch.candidate} has traffic")
    moved = replace(switch, phase=phase, condition=condition, changed_at=record.at)
    if not condition.is_open:
        moved = replace(moved, ended_at=record.at, ended_by=record.by, halt=None, open=None)
    if switch.condition is Condition.HALTED and condition is Condition.RUNNING:
        moved = replace(moved, halt=None, lost=0)
    if switch.condition is not Condition.RUNNING and condition is Condition.RUNNING:
        moved = replace(moved, proven=False)  # what was good before a person was awaited is asked again
    moved = counted(_noted(moved, switch, record), record, state.at or record.at)
    return _effects(replace(state, switch=moved), before=switch, now=moved, record=record)


def _noted(moved: Switch, before: Switch, record: ev.Record) -> Switch:
    """The step under way, and the list of what was done."""
    event, under_way = record.event, before.open
    if isinstance(event, ev.StepStarted):
        change = None
        if event.expected is not None and event.target is not None and event.split is not None:
            change = Change(event.expected, event.target, event.split)
        return replace(moved, open=OpenStep(event.step, record.at, event.point, change))
    if isinstance(event, ev.Restarted):
        orphan = replace(under_way, unknown=True) if under_way and under_way.step == Phase.DEPLOY else None
        return replace(moved, open=orphan)
    if not isinstance(event, Outcome | ev.Halted) or (isinstance(event, ev.Halted) and not event.closes_step):
        return moved
    outcome, detail = _outcome(event)
    step = under_way.step if under_way else before.phase.value
    since = under_way.since if under_way else None
    done = Operation(step, outcome, record.at, detail, since, *_written(event, under_way, before))
    return replace(moved, open=None, operations=(*moved.operations, done)[-PAST_MAX:])


def _written(event: ev.Event, under_way: OpenStep | None, before: Switch) -> tuple[str | None, Weights | None]:
    """The switch point and the split that an outcome is about; of one that was looked up, those of the lost write."""
    if under_way is not None:
        return under_way.point, under_way.change.split if under_way.change else None
    if isinstance(event, ev.WeightsSet):
        return event.point, event.split
    if isinstance(event, ev.WeightsUnchanged):
        lost = [one.split for one in before.operations if one.point == event.point]
        return event.point, lost[-1] if lost else None
    return None, None


def _outcome(event: Outcome | ev.Halted) -> tuple[str, str]:
    match event:
        case ev.WeightsSet(point=point, split=split, recovered=recovered):
            return "done", f"{point}: {split}" + (" (found by looking)" if recovered else "")
        case ev.WeightsUnchanged(point=point):
            return "not done", f"{point}: the balancer shows that the write was not made"
        case ev.DeployNotMade(reason=reason):
            return "not done", reason
        case ev.OutcomeLost(point=point, reason=reason):
            return "unknown", f"{point}: {reason}"
        case ev.Halted(cause=cause, summary=summary):
            return "unknown" if cause is Cause.INTERRUPTED else "failed", summary
        case ev.Deployed(summary=summary) | ev.BecameHealthy(summary=summary):
            return "done", summary
        case (
            ev.PreflightPassed(findings=findings) | ev.WarmProven(findings=findings) | ev.SmokePassed(findings=findings)
        ):
            return "done", f"{len(findings)} looked at"
    assert_never(event)


def _effects(state: ServiceState, *, before: Switch, now: Switch, record: ev.Record) -> ServiceState:
    """What an event of the switch changes for its service."""
    match record.event:
        case ev.StepStarted(step=Phase.DEPLOY):
            # from here on nobody knows what the candidate holds, until the deployer has said so
            return replace(state, releases={**state.releases, now.candidate: Release(version=None, switch=now.id)})
        case ev.StepStarted(split=Weights() as split) if split.share(now.candidate) > 0:
            first = state.share(now.candidate) == 0 and now.candidate not in _maybe_carrying(state)
            return replace(state, switch=replace(now, exposed_at=record.at)) if first else state
        case ev.Deployed():
            release = Release(now.version, now.artifact, record.at, now.id)
            return replace(state, releases={**state.releases, now.candidate: release})
        case ev.WeightsSet(point=point, weights=weights, split=split):
            points = {**state.points, point: Point(weights, split)}
            return replace(state, points=points, unsettled=restoring.without(state.unsettled, point))
        case ev.WeightsUnchanged(point=point):
            return replace(state, unsettled=restoring.without(state.unsettled, point))
        case ev.OutcomeLost() | ev.Restarted() | ev.FailedBack() if before.open and before.open.writes:
            return replace(state, unsettled={**state.unsettled, **before.open.writes})
        case ev.Shifted():
            return _live_moved(state, now, record)
        case ev.Aborted():
            return service.with_live(state, sole_live(state.points) or state.live)
        case ev.KeptWarm(environment=str(environment), protected_until=datetime() as until):
            if (warm := state.warm.get(environment)) is None:
                return state
            return replace(state, warm={**state.warm, environment: replace(warm, protected_until=until)})
        case _:
            return state


def _maybe_carrying(state: ServiceState) -> set[str]:
    """Environments that a write whose outcome is unknown may have given a share."""
    return {name for change in state.unsettled.values() for name in change.split if change.split.share(name) > 0}


def _live_moved(state: ServiceState, switch: Switch, record: ev.Record) -> ServiceState:
    """The candidate has it all: it is live. What a deployment left is warm; what a failback left is idle."""
    warm = {name: kept for name, kept in state.warm.items() if name != switch.candidate}
    if switch.kind is Kind.DEPLOYMENT and state.live is not None and state.live != switch.candidate:
        until = record.at + timedelta(seconds=switch.plan.bake_seconds + switch.plan.keep_warm_seconds)
        warm[state.live] = Warm(state.live, record.at, until)
    return replace(state, live=switch.candidate, warm=warm)
