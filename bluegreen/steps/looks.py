"""What several hands look at: targets, weights, checks; and how a failure becomes a halt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import BalancerError
from bluegreen.model import UNPROVEN, Cause, Finding, Phase, Target, TargetState, Weights, percent
from bluegreen.ports import Balancer, Check, Enough, Ports, Scene

T = TypeVar("T")

LOOKS_MAX = 4
LOOK_AGAIN_SECONDS = 2.0
"""How often, and how far apart, a look that is not good is taken before it counts: one may be a flap or a lost call."""
UNREAD = "unreadable"
"""In the detail of a finding that says nothing: the balancer could not be read."""


async def steady(look: Callable[[], Awaitable[tuple[Finding, ...]]], most: int = LOOKS_MAX) -> tuple[Finding, ...]:
    """The findings of the first look that is all good, or of the last of so many; what another hand changed is said at
    once."""
    for _ in range(most - 1):
        findings = await look()
        if all_ok(findings) or drifted(findings):
            return findings
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return await look()


async def at_all(
    balancers: Mapping[str, Balancer], look: Callable[[Balancer], Awaitable[T]]
) -> dict[str, T | BalancerError]:
    """One look at every switch point at once; what cannot be read is there as its error."""

    async def one(balancer: Balancer) -> T | BalancerError:
        try:
            return await look(balancer)
        except BalancerError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one(balancer)) for name, balancer in balancers.items()}
    return {name: task.result() for name, task in tasks.items()}


async def health(ports: Ports, environment: str, enough: Enough) -> tuple[Finding, ...]:
    """One finding a switch point: whether enough of the environment's targets are healthy there now."""
    seen = await at_all(ports.balancers, lambda balancer: balancer.targets())
    return tuple(healthy(name, environment, targets, enough) for name, targets in seen.items())


def healthy(
    point: str, environment: str, targets: Mapping[str, tuple[Target, ...]] | BalancerError, enough: Enough
) -> Finding:
    """Whether enough of the environment's targets are healthy at one switch point; unreadable is not."""
    name = health_of(point, environment)
    if isinstance(targets, BalancerError):
        return Finding(name, False, f"health cannot be read: {targets.what}", targets.advice, detail={UNREAD: "yes"})
    registered = targets.get(environment, ())
    good = sum(target.state is TargetState.HEALTHY for target in registered)
    wanted = enough.of(len(registered))
    summary = f"{good} of {len(registered)} targets of {environment} are healthy, wanted {wanted}"
    detail = {target.id: f"{target.state} {target.reason}".strip() for target in registered}
    if good >= wanted:
        return Finding(name, ok=True, summary=summary, detail=detail)
    ill = ", ".join(f"{id_}: {why}" for id_, why in detail.items() if not why.startswith(TargetState.HEALTHY))
    advice = f"look at {ill}" if ill else f"no target of {environment} is registered at {point}"
    return Finding(name, ok=False, summary=summary, advice=advice, detail=detail)


def health_of(point: str, environment: str) -> str:
    """What the finding on an environment's health at a switch point is called."""
    return f"{point}: {environment} healthy"


def unread(findings: Sequence[Finding]) -> bool:
    """Whether all that is not good is so because a balancer could not be read: what it would say is unknown."""
    failed = [finding for finding in findings if not finding.ok]
    return bool(failed) and all(UNREAD in finding.detail for finding in failed)


async def weights(ports: Ports, state: ServiceState) -> tuple[Finding, ...]:
    """One finding a switch point: whether it shows the weights on record.

    A balancer whose reads may lag behind writes is asked again when its `settle` time is over, before it is believed
    to show something else.
    """

    async def shown(balancer: Balancer) -> Weights:
        first = await balancer.read()
        point = state.points.get(balancer.point)
        if not balancer.settle or point is None or first.same_split(point.native):
            return first
        await asyncio.sleep(balancer.settle)
        return await balancer.read()

    seen = await at_all(ports.balancers, shown)
    found = []
    for name, one in seen.items():
        check = f"{name}: weights"
        if isinstance(one, BalancerError):
            what = f"cannot be read: {one.what}"
            found.append(Finding(check, ok=False, summary=what, advice=one.advice, detail={UNREAD: "yes"}))
            continue
        recorded = state.points[name].native if name in state.points else None
        same = recorded is not None and one.same_split(recorded)
        summary = f"{one}" if same else f"the balancer shows {one}, the journal says {recorded or 'nothing yet'}"
        answers = f"`bluegreen restore {state.service}`, or `bluegreen adopt {state.service}`"
        advice = "" if same else f"put it right at the balancer, or {answers}"
        found.append(Finding(check, ok=same, summary=summary, advice=advice, detail={"shown": str(one)}))
    return tuple(found)


def drifted(findings: Sequence[Finding]) -> bool:
    """Whether a balancer shows other weights than those on record: one that cannot be read is unknown, not changed."""
    return any(not one.ok and one.check.endswith(": weights") and "shown" in one.detail for one in findings)


async def all_checks(checks: Sequence[Check], scene: Scene, accepted: frozenset[str]) -> tuple[Finding, ...]:
    """Every check, one after the other, whatever another one says. What was accepted by name counts as good."""
    found = []
    for check in checks:
        found.append(unless_accepted(await check.look(scene), accepted))
    return tuple(found)


_ADVICE = {
    Cause.PREFLIGHT_FAILED: "nothing was moved; mend what failed, then `resume`: it is tried again",
    Cause.CHECK_FAILED: "find out why on {candidate}; mend it and `resume`, or `deploy` a version that is right",
    Cause.GATE_FAILED: "{candidate} keeps its share meanwhile: `resume` if it was a flap, `failback` if users suffer",
}
"""What to do where a finding does not say so itself."""


def unless_accepted(finding: Finding, accepted: Collection[str]) -> Finding:
    """What was accepted by name counts as good."""
    return passed(finding) if not finding.ok and finding.check in accepted else finding


def passed(finding: Finding) -> Finding:
    """A failed finding that a person went past by name: it holds nothing up any more, and proves nothing."""
    summary, detail = f"accepted by name: {finding.summary}", {**finding.detail, UNPROVEN: "yes"}
    return replace(finding, ok=True, summary=summary, detail=detail)


def halted(
    switch: Switch,
    cause: Cause,
    findings: Sequence[Finding] = (),
    *,
    summary: str = "",
    advice: str = "",
    output: str = "",
    closes_step: bool = True,
    split: ServiceState | None = None,
    error: str = "",
) -> ev.Halted:
    """The halt that says what failed. Without a summary of its own, the first failed finding's. With `split`, it tells
    how the traffic stands where the switch points differ."""
    failed = [finding for finding in findings if not finding.ok]
    if failed and not summary:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        summary = f"{failed[0].check}: {failed[0].summary}{more}"
    if split is not None and (mixed := _mixed(split, switch.candidate, ())):
        summary = f"{summary}; {mixed}"
    if failed and not advice:
        advice = failed[0].advice or _ADVICE.get(cause, "").format(candidate=switch.candidate)
    return ev.Halted(
        halt=switch.next_halt(),
        phase=Phase(switch.phase),
        cause=cause,
        summary=summary,
        advice=advice,
        findings=tuple(findings),
        output=output,
        closes_step=closes_step,
        error=error,
    )


def with_split(outcome: T, state: ServiceState) -> T | ev.Halted:
    """A halt tells how the traffic stands where the switch points differ; what is not known is said to be so. A drift
    tells by itself what is shown."""
    switch = state.open_switch
    if not isinstance(outcome, ev.Halted) or switch is None or outcome.cause is Cause.DRIFT:
        return outcome
    mixed = _mixed(state, switch.candidate, state.unsettled if outcome.closes_step else state.in_doubt)
    if not mixed or mixed in outcome.summary:
        return outcome
    return replace(outcome, summary=f"{outcome.summary}; {mixed}")


def _mixed(state: ServiceState, candidate: str, doubtful: Collection[str]) -> str:
    """In words, what each switch point shows; empty where all show the same share."""
    known = {name: percent(point.native.share(candidate)) for name, point in state.points.items()}
    shares = {name: "an unknown share" if name in doubtful else share for name, share in known.items()}
    if len(set(shares.values())) <= 1:
        return ""
    return f"{candidate} has " + ", ".join(f"{share} at {name}" for name, share in shares.items())


def defect(error: Exception, state: ServiceState) -> ev.Event:
    """A hand raised what no hand may: whether it wrote is not known, and is looked up; anything else is a halt."""
    what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
    if state.restore is not None and state.restore.writing is not None:
        return ev.RestoreUnread(state.restore.writing.point, what)
    switch = state.open_switch
    if switch is None:
        raise error
    if switch.open is not None and switch.open.point is not None:
        return ev.OutcomeLost(switch.open.point, what)
    return halted(switch, Cause.BUG, summary=what, advice="nothing goes on by itself; please report it")


def all_ok(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.ok for finding in findings)
