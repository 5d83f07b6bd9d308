"""Move weights: look, compare, write once, read back. The one room that moves production traffic.

Invariants, whatever fails:
* nothing is written before the candidate has shown enough healthy targets and good gates, seconds ago (law 5);
* nothing is written on top of weights other than those the plan expects (law 4);
* a write is sent once; a lost answer is returned as lost and looked up, never sent again on a guess (law 3).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState, Switch
from bluegreen.core.steps import LookUp, SetWeights
from bluegreen.errors import (
    AccessDenied,
    BalancerError,
    CredentialsEnded,
    Drifted,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Unreachable,
)
from bluegreen.model import Cause, Kind, Weights
from bluegreen.ports import Balancer, Clock, Ports
from bluegreen.steps import artifact, looks

WRITE_TRIES = 4
"""Tries of a write that surely had no effect (not reached, throttled)."""
BACKOFF_SECONDS = 0.5
LOOK_SECONDS = 60.0
"""How long a balancer that cannot be read is asked for the truth about a lost answer, before that is a halt."""
REFUSED_SECONDS = 10.0
"""The same where each look is refused for want of a right or of credentials: unless they renew themselves, and that is
soon, only a person can mend that."""
LOOK_EVERY = 0.3


async def ready(switch: Switch, state: ServiceState, ports: Ports) -> ev.Halted | None:
    """The last looks before a write: a halt where something is not good, None where the write may be made now.

    Health comes last: it is what may change fastest.
    """
    forward = switch.kind is Kind.DEPLOYMENT
    if forward and not looks.all_ok(findings := await artifact.look(switch, ports)):
        return looks.halted(switch, artifact.cause(findings, Cause.CHECK_FAILED), findings, split=state)
    if forward and state.share(switch.candidate) > 0:  # before it has traffic, a gate has nothing to see
        scene = ports.scene(switch.candidate, switch.version, switch.artifact)
        findings = await looks.all_checks(ports.gates, scene, switch.accepted)
        if not looks.all_ok(findings):
            return looks.halted(switch, Cause.GATE_FAILED, findings, split=state)
    enough = ports.health if forward else ports.failback_health
    findings = await looks.steady(lambda: looks.health(ports, switch.candidate, enough))
    if not looks.all_ok(findings):
        cause = Cause.BALANCER_UNREACHABLE if looks.unread(findings) else Cause.UNHEALTHY
        return looks.halted(switch, cause, findings, split=state)
    return None


async def run(
    step: SetWeights,
    target: Weights,
    switch: Switch,
    state: ServiceState,
    ports: Ports,
    clock: Clock,
    wanted: Callable[[], bool],
) -> ev.Event:
    """WeightsSet with what the balancer shows, OutcomeLost, or a halt with nothing changed by this step.

    The caller has just made the last looks; before each further try they are made anew. `wanted` says before each try
    whether it is still wanted: a person may have stopped the line. WeightsUnchanged then.
    """
    balancer = ports.balancers[step.point]
    for attempt in range(1, WRITE_TRIES + 1):
        if attempt > 1 and wanted() and (halt := await ready(switch, state, ports)) is not None:
            return halt
        if not wanted():
            return ev.WeightsUnchanged(step.point)
        try:
            await balancer.write(step.expected, target)
        except Drifted as drift:
            if balancer.settle and attempt == 1:  # its reads may lag behind our own last write
                await clock.sleep(balancer.settle)
                continue
            return _drift(switch, step.point, Weights.of(drift.expected), Weights.of(drift.seen))
        except CredentialsEnded as ended:
            return ev.OutcomeLost(step.point, ended.what, ended.advice)
        except OutcomeUnknown as lost:
            return ev.OutcomeLost(step.point, str(lost))
        except (Throttled, Unreachable) as refusal:
            if attempt == WRITE_TRIES:
                return _refused(switch, step, Cause.BALANCER_UNREACHABLE, refusal)
            await clock.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
            continue
        except (AccessDenied, Rejected) as refusal:
            return _refused(switch, step, Cause.BALANCER_REFUSED, refusal)
        return await _read_back(step, target, switch, balancer)
    raise AssertionError("the last try returns")


async def look_up(step: LookUp, switch: Switch, ports: Ports, clock: Clock) -> ev.Event:
    """WeightsSet or WeightsUnchanged once the balancer has told the same twice; a halt where it tells neither.

    An old value proves nothing before the balancer's `settle` time is over.
    """
    balancer = ports.balancers[step.point]
    patience, last = Patience(balancer.settle), None
    while True:
        shown, trouble = await read(balancer)
        age = patience.age(trouble)
        if shown is not None and last is not None and shown.same_split(last):
            if shown.same_split(step.target):
                return ev.WeightsSet(step.point, shown, step.split, recovered=True)
            if age >= balancer.settle:
                if shown.same_split(step.expected):
                    return ev.WeightsUnchanged(step.point)
                return replace(_neither(switch, step, shown), looked=True)
        if patience.over:
            return replace(_not_known(switch, step, trouble), looked=True)
        last = shown
        await clock.sleep(LOOK_EVERY)


async def _read_back(step: SetWeights, target: Weights, switch: Switch, balancer: Balancer) -> ev.Event:
    shown, trouble = await read(balancer)
    if shown is None:
        return ev.OutcomeLost(step.point, f"acknowledged, but it cannot be read back: {trouble}")
    if shown.same_split(target):
        return ev.WeightsSet(step.point, shown, step.split)
    if shown.same_split(step.expected):
        return ev.OutcomeLost(step.point, "acknowledged, but the balancer still shows the old weights")
    return _drift(switch, step.point, target, shown)


async def read(balancer: Balancer) -> tuple[Weights | None, BalancerError | None]:
    """What the balancer shows; None where it cannot be read, and why."""
    try:
        return await balancer.read(), None
    except BalancerError as error:
        return None, error


class Patience:
    """How long one goes on asking a balancer for the truth about a lost answer. Begins when it is made."""

    def __init__(self, settle: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._began, self._settle = self._now(), settle
        self._refused: float | None = None

    def age(self, trouble: BalancerError | None) -> float:
        """Seconds since it began. `trouble` is what the present look has met."""
        if not isinstance(trouble, AccessDenied):
            self._refused = None
        elif self._refused is None:
            self._refused = self._now()
        return self._now() - self._began

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        refused = self._refused is not None and self._now() - self._refused >= REFUSED_SECONDS
        return refused or self._now() - self._began >= LOOK_SECONDS + self._settle


def _drift(switch: Switch, point: str, expected: Weights, seen: Weights, *, closes_step: bool = True) -> ev.Halted:
    back = f"or: bluegreen restore {switch.service}, " if closes_step else ""  # nothing is restored over a doubt
    return looks.halted(
        switch,
        Cause.DRIFT,
        summary=f"somebody else changed {point}: it shows {seen}, expected was {expected}",
        advice=f"put it right at the balancer, {back}"
        f"or take it as it is: bluegreen adopt {switch.service}; then `resume`",
        closes_step=closes_step,
    )


def _not_known(switch: Switch, step: LookUp, trouble: BalancerError | None) -> ev.Halted:
    """The limit is reached. Where it was refused, what a person has to do about that comes first."""
    mend = f"{trouble.advice}; or " if trouble is not None and trouble.advice else ""
    return looks.halted(
        switch,
        Cause.OUTCOME_UNKNOWN,
        summary=f"what became of a write to {step.point} is not known: {trouble or 'no two reads agree'}",
        advice=f"{mend}look at the balancer yourself; `resume` looks again. Asked for: {step.split}",
        closes_step=False,
        error=_class_of(trouble) if isinstance(trouble, AccessDenied) else "",
    )


def _neither(switch: Switch, step: LookUp, shown: Weights) -> ev.Halted:
    """What was looked up is not what it was and not what was asked for."""
    drift = _drift(switch, step.point, step.expected, shown, closes_step=False)
    return replace(
        drift,
        summary=f"somebody else changed {step.point}, or a write whose answer was lost was made in part: it shows"
        f" {shown}, neither {step.expected} as before nor {step.target} as asked for",
    )


def _refused(switch: Switch, step: SetWeights, cause: Cause, refusal: BalancerError) -> ev.Halted:
    return looks.halted(
        switch,
        cause,
        summary=f"{step.point} did not take {step.split}: {refusal.what}; nothing was changed",
        advice=refusal.advice or "mend the cause, then `resume`",
        error=_class_of(refusal),
    )


def _class_of(refusal: BalancerError) -> str:
    """`access_denied`: two refusals of one class are of one kind."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(refusal).__name__).lower()
