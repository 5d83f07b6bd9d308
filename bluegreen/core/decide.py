"""What to do next: `next_step(state, now) -> step`. Pure; every prefix of every lawful journal has an answer.

The invariants of every answer:
* halted: nothing but waiting for a person (law 2), what a person ordered meanwhile (`restoring`), and one look at what
  is unknown, so that the person has facts to decide by;
* a write whose outcome is unknown is looked up before anything else is done, then a deployment's (law 3);
* no share of the candidate is ever lowered, and no step leads back (law 1);
* no share is raised before the candidate has proven itself to this process, since the last halt or pause (law 5).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from bluegreen.core import events as ev
from bluegreen.core import restoring, unknown
from bluegreen.core import steps as st
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import WHOLE, Cause, Condition, Finding, Kind, Phase, Weights, percent

WATCH_SECONDS_MAX = 15.0
"""The longest watch that is recorded in one piece: what a crash can cost of a wait that was already observed."""
LOST_MAX = 3
"""Answers to writes that may be lost within one shift step before that is a halt."""


def next_step(state: ServiceState, now: datetime, trouble: Finding | None = None) -> st.Step | None:
    """The one next thing to do for a service; None: nothing is under way. `trouble`: what ails the journal; what room
    is left is a failback's, so that a deployment takes no further step."""
    step, switch = _next_step(state, now), state.open_switch
    if trouble is None or switch is None or switch.kind is Kind.FAILBACK or not isinstance(step, st.ONWARD):
        return step
    return st.Conclude(_disk_full(switch, trouble))


def _next_step(state: ServiceState, now: datetime) -> st.Step | None:
    switch = state.open_switch
    if switch is None:
        return restoring.next_step(state, now)
    if switch.condition is Condition.HALTED:
        return restoring.next_step(state, now) or unknown.look_at_a_halt(state) or st.AwaitOperator()
    if (look := unknown.look(state)) is not None:
        return look
    if switch.condition is Condition.PAUSED:
        return st.Watch(None) if state.share(switch.candidate) > 0 else st.AwaitOperator()
    if switch.clock_back:
        return st.Conclude(_clock_back(switch))
    if switch.word_aged:
        return st.Conclude(_word_aged(switch))
    return _running(state, switch, now)


def run_id(switch: Switch) -> str:
    """What the switch's present deployment, under way or next, is found by: the same for every process, another one for
    each attempt."""
    ended = sum(operation.step == Phase.DEPLOY for operation in switch.operations)
    return f"{switch.id}-d{ended + 1}"


def target_split(switch: Switch, point: str, current: Weights, share: int) -> Weights:
    """The split at a shift step: `share` tenths for the candidate, never less than it has; the others divide the rest
    as they did when the switch began."""
    return divided(switch.base[point], max(share, current.share(switch.candidate)), switch.candidate, switch.source)


def divided(base: Weights, share: int, candidate: str, source: str) -> Weights:
    """`share` tenths for the candidate; the others divide the rest as they do in `base`."""
    rest = WHOLE - share
    others = {name: weight for name, weight in base.items() if name != candidate}
    total = sum(others.values())
    if total == 0:  # the candidate had it all: what is left goes where the switch came from
        others = {name: int(name == source) for name in others}
        total = sum(others.values())
    split = {name: weight * rest // total if total else 0 for name, weight in others.items()}
    left = rest - sum(split.values())
    if left:
        largest = max(others, key=lambda name: (others[name], name))
        split[largest] += left
    return Weights.of({**split, candidate: share})


def _running(state: ServiceState, switch: Switch, now: datetime) -> st.Step:
    match switch.phase:
        case Phase.PREFLIGHT:
            return st.ProveWarm() if switch.kind is Kind.FAILBACK else st.Preflight()
        case Phase.DEPLOY if (share := state.share(switch.candidate)) > 0:
            return st.Conclude(_has_traffic(switch, share))
        case Phase.DEPLOY:
            return st.Preflight() if switch.preflight_aged else st.Deploy()
        case Phase.WAIT_HEALTHY:
            return st.WaitHealthy()
        case Phase.SMOKE:
            return st.Smoke()
        case Phase.SHIFT:
            return _shift(state, switch)
        case Phase.BAKE | Phase.KEEP_WARM if (write := _write(state, switch, WHOLE)) is not None:
            return write  # a person took less than everything for the truth, and then let it go on
        case Phase.BAKE:
            left = switch.plan.bake_seconds - switch.watched
            return st.Watch(min(left, WATCH_SECONDS_MAX)) if left > 0 else st.Conclude(ev.Baked())
        case Phase.KEEP_WARM:
            return st.Conclude(_keep_warm(state, switch, now))
        case Phase.ENDED:
            raise AssertionError("an open switch has not ended")
    assert_never(switch.phase)


def _shift(state: ServiceState, switch: Switch) -> st.Step:
    """One shift step: every switch point in turn, then the wait."""
    share = switch.steps[switch.index]
    if (write := _write(state, switch, share)) is not None:
        return write
    if switch.index == len(switch.steps) - 1:
        return st.Conclude(ev.Shifted())
    if all(base.share(switch.candidate) >= share for base in switch.base.values()):
        return st.Conclude(ev.StepReached(switch.index))  # it was there before: nothing moved, nothing to wait for
    if switch.plan.wait_seconds is None:
        return st.Conclude(ev.StepReached(switch.index) if switch.approved == switch.index else ev.ApprovalAwaited())
    left = switch.plan.wait_seconds - switch.watched
    return st.Watch(min(left, WATCH_SECONDS_MAX)) if left > 0 else st.Conclude(ev.StepReached(switch.index))


def _write(state: ServiceState, switch: Switch, share: int) -> st.Step | None:
    """What brings the next switch point to `share` tenths; None when all have it. Having more is never a reason."""
    for name in switch.plan.points:
        point = state.points[name]
        if max(point.split.share(switch.candidate), point.native.share(switch.candidate)) < share:
            if switch.lost >= LOST_MAX:
                return st.Conclude(_answers_lost(switch))
            if not switch.proven:
                return st.ProveWarm() if switch.kind is Kind.FAILBACK else st.Smoke()
            return st.SetWeights(name, point.native, target_split(switch, name, point.split, share))
    return None


def _keep_warm(state: ServiceState, switch: Switch, now: datetime) -> ev.KeptWarm:
    if switch.kind is Kind.FAILBACK or switch.source not in state.warm:
        return ev.KeptWarm(None, None)
    return ev.KeptWarm(switch.source, now + timedelta(seconds=switch.plan.keep_warm_seconds))


def _has_traffic(switch: Switch, share: int) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.DRIFT,
        summary=f"{switch.candidate} has {percent(share)} of the traffic by another hand: it is not deployed over",
        advice=f"take its traffic away at the balancer and `adopt` that, or: bluegreen failback {switch.service}",
    )


def _clock_back(switch: Switch) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.INTERRUPTED,
        summary=f"this host's clock is {switch.clock_back:.0f} s before the last entry of the journal: it was set back"
        " while the daemon was away, so that nobody knows for how long, or how old an operator's word is",
        advice="set it right (`timedatectl`), look at the balancers, then `resume`",
    )


def _word_aged(switch: Switch) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.INTERRUPTED,
        summary=f"the daemon was away; the word for this failback is of {switch.word_at:%Y-%m-%d %H:%M:%S} UTC",
        advice=f"see who has the traffic now; `resume` if {switch.candidate} shall still have all of it",
    )


def _answers_lost(switch: Switch) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.BALANCER_REFUSED if switch.lost_advice else Cause.OUTCOME_UNKNOWN,
        summary=f"{switch.lost} writes to the balancer were lost in one shift step; each was looked up, none was made:"
        f" nothing was changed. The last one: {switch.lost_why}",
        advice=f"{switch.lost_advice or 'look at the way to the balancer'}; then `resume`",
        error="access_denied" if switch.lost_advice else "",
    )


def _disk_full(switch: Switch, trouble: Finding) -> ev.Halted:
    return ev.Halted(
        halt=switch.next_halt(),
        phase=switch.phase,
        cause=Cause.DISK_FULL,
        summary=trouble.summary,
        advice=f"{trouble.advice}. Then `resume`",
        findings=(trouble,),
    )
