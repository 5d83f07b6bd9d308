"""What several hands look at: targets, weights, checks; and how a failure becomes a halt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import BalancerError
from bluegreen.model import Cause, Finding, Phase, Target, TargetState
from bluegreen.ports import Balancer, Check, Enough, Ports, Scene

T = TypeVar("T")

UNREAD = "unreadable"
"""In the detail of a finding that says nothing about health: the balancer could not be read."""


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
    name = f"{point}: {environment} healthy"
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


async def weights(ports: Ports, state: ServiceState) -> tuple[Finding, ...]:
    """One finding a switch point: whether it shows the weights on record."""
    seen = await at_all(ports.balancers, lambda balancer: balancer.read())
    found = []
    for name, shown in seen.items():
        check = f"{name}: weights"
        if isinstance(shown, BalancerError):
            found.append(Finding(check, ok=False, summary=f"cannot be read: {shown.what}", advice=shown.advice))
            continue
        recorded = state.points[name].native if name in state.points else None
        same = recorded is not None and shown.same_split(recorded)
        summary = f"{shown}" if same else f"the balancer shows {shown}, the journal says {recorded or 'nothing yet'}"
        answers = f"`bluegreen restore {state.service}`, or `bluegreen adopt {state.service}`"
        advice = "" if same else f"put it right at the balancer, or {answers}"
        found.append(Finding(check, ok=same, summary=summary, advice=advice))
    return tuple(found)


async def all_checks(checks: Sequence[Check], scene: Scene, accepted: frozenset[str]) -> tuple[Finding, ...]:
    """Every check, one after the other, whatever another one says. What was accepted by name counts as good."""
    found = []
    for check in checks:
        finding = await check.look(scene)
        if not finding.ok and finding.check in accepted:
            finding = replace(finding, ok=True, summary=f"accepted by name: {finding.summary}")
        found.append(finding)
    return tuple(found)


def halted(
    switch: Switch,
    cause: Cause,
    findings: Sequence[Finding] = (),
    *,
    summary: str = "",
    advice: str = "",
    output: str = "",
    closes_step: bool = True,
) -> ev.Halted:
    """The halt that says what failed. Without a summary of its own, the first failed finding's."""
    failed = [finding for finding in findings if not finding.ok]
    if failed and not summary:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        summary = f"{failed[0].check}: {failed[0].summary}{more}"
    if failed and not advice:
        advice = failed[0].advice
    return ev.Halted(
        halt=switch.next_halt(),
        phase=Phase(switch.phase),
        cause=cause,
        summary=summary,
        advice=advice,
        findings=tuple(findings),
        output=output,
        closes_step=closes_step,
    )


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
