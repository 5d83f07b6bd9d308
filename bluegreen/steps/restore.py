"""Put a switch point back to what the journal says, as an operator ordered: look, compare, write once, read back.

Invariants, whatever fails:
* nothing is written on top of other weights than those the order was given for (law 4);
* no environment gains a share without enough healthy targets there at this very moment (law 5);
* the write is sent once; a lost answer is returned as lost and looked up (law 3).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState
from bluegreen.core.steps import LookUpRestore, Restore
from bluegreen.errors import BalancerError, Drifted, OutcomeUnknown, Rejected
from bluegreen.model import Finding, Weights
from bluegreen.ports import Balancer, Clock, Ports
from bluegreen.steps import looks
from bluegreen.steps.shift import LOOK_EVERY, Patience, read


def intent(step: Restore, state: ServiceState, ports: Ports) -> ev.RestoreStarted:
    """The intent, with the numbers in which this balancer takes the weights on record."""
    target = step.target
    if (balancer := ports.balancers.get(step.point)) is not None:
        try:
            own = balancer.native(state.points[step.point].split)
            target = own if own.same_split(target) else target
        except Rejected:
            pass  # the numbers that it showed before are tried: it refuses them by itself, if it must
    return ev.RestoreStarted(step.point, step.shown, target)


def hand(
    step: Restore | LookUpRestore, target: Weights | None, ports: Ports, clock: Clock
) -> Coroutine[Any, Any, ev.Event]:
    """The hand for a step of an order."""
    if isinstance(step, LookUpRestore):
        return look_up(step, ports, clock)
    return run(step, target or step.target, ports)


async def run(step: Restore, target: Weights, ports: Ports) -> ev.Event:
    """Restored, RestoreLost, or RestoreRefused with nothing written."""
    balancer = ports.balancers.get(step.point)
    if balancer is None:
        return ev.RestoreRefused(step.point, f"{step.point} is no longer configured: nothing was written")
    findings = await _gaining(step, target, balancer, ports)
    failed = [finding for finding in findings if not finding.ok]
    if failed:
        summary = f"{'; '.join(finding.summary for finding in failed)}: nothing was written to {step.point}"
        return ev.RestoreRefused(step.point, summary, failed[0].advice, findings)
    try:
        await balancer.write(step.shown, target)
    except Drifted as drift:
        seen = Weights.of(drift.seen)
        summary = f"{step.point} shows {seen} now; the order was given for {step.shown}: nothing was written"
        return ev.RestoreRefused(step.point, summary, "look again before you decide", findings)
    except OutcomeUnknown as lost:
        return ev.RestoreLost(step.point, str(lost))
    except BalancerError as refusal:  # not reached, throttled, denied, rejected: surely nothing was changed
        summary = f"{step.point} did not take {target}: {refusal.what}; nothing was changed"
        return ev.RestoreRefused(step.point, summary, refusal.advice, findings)
    shown, trouble = await read(balancer)
    if shown is not None and shown.same_split(target):
        return ev.Restored(step.point, shown)
    return ev.RestoreLost(step.point, f"acknowledged, and then: {trouble or f'it shows {shown}'}")


async def look_up(step: LookUpRestore, ports: Ports, clock: Clock) -> ev.Event:
    """Restored, RestoreUnmade or RestoreRefused once two reads agree; RestoreUnread at the limit."""
    balancer = ports.balancers.get(step.point)
    if balancer is None:
        return ev.RestoreRefused(step.point, f"{step.point} is no longer configured")
    patience, last = Patience(balancer.settle), None
    while True:
        shown, trouble = await read(balancer)
        age = patience.age(trouble)
        if shown is not None and last is not None and shown.same_split(last):
            if shown.same_split(step.target):
                return ev.Restored(step.point, shown, recovered=True)
            if age >= balancer.settle and shown.same_split(step.shown):
                return ev.RestoreUnmade(step.point)
            if age >= balancer.settle:
                what = f"{step.point} shows {shown}: neither what it was, {step.shown}, nor what was asked for"
                return ev.RestoreRefused(step.point, what, "look again before you decide")
        if patience.over:
            return ev.RestoreUnread(step.point, str(trouble or "no two reads agree"))
        last = shown
        await clock.sleep(LOOK_EVERY)


async def _gaining(step: Restore, target: Weights, balancer: Balancer, ports: Ports) -> tuple[Finding, ...]:
    """A finding for each environment that would get a larger share than it has: enough healthy targets, or not.

    Enough is what is enough for a failback: this is an operator's way out as well.
    """
    gaining = [name for name in target if _part(target, name) > _part(step.shown, name)]
    try:
        targets = await balancer.targets()
    except BalancerError as error:
        return tuple(looks.healthy(step.point, name, error, ports.failback_health) for name in gaining)
    return tuple(looks.healthy(step.point, name, targets, ports.failback_health) for name in gaining)


def _part(weights: Weights, environment: str) -> float:
    return weights.get(environment, 0) / weights.total if weights.total else 0.0
