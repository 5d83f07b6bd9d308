"""The same look at the live side, at the moment of a halt: whether the check itself works, or what both share fails.

Every look that failed is repeated: checks, gates and guards, the health of targets by the same minimum, the digest by
what is on record of the live side. One conclusion each, in a line; what gave no answer is said to be no comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bluegreen.core.notes.artifacts import PROBE, SILENT
from bluegreen.core.notes.evidence import SHARED
from bluegreen.core.notes.lessons import Guard
from bluegreen.core.state import Halt, ServiceState, Switch
from bluegreen.model import UNPROVEN, Finding, Kind, Release
from bluegreen.ports import Check, Enough, Ports, Scene
from bluegreen.steps import looks

LOOK_SECONDS = 6.0
"""How long one look may take; less than a source, so that one that hangs does not take the others with it."""
UNFINISHED = "unfinished"
"""In the detail of what gave no answer at all."""

Look = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Compared:
    """What the same looks found on the live side, and what that says of each, in words."""

    conclusions: tuple[str, ...]
    findings: tuple[Finding, ...]


async def on_live(live: str, state: ServiceState, switch: Switch, halt: Halt, ports: Ports) -> Compared:
    """Everything that failed at the halt, asked of the live side now."""
    release = state.releases.get(live) or Release(None)
    there = ports.scene(live, release.version, release.artifact)
    failed = _failed(state, halt, ports)
    versioned = {check.name for check in ports.smoke if check.name not in ports.smoke_unversioned}
    unasked = [check.name for check in failed if release.version is None and check.name in versioned]
    asked = {check.name: partial(check.look, there) for check in failed if check.name not in unasked}
    guards = {guard.name: partial(_by_guard, guard, ports, there) for guard in _guards(state, halt, asked)}
    health = dict(_health(live, switch, halt, ports))
    found = await looked({**asked, **guards, **health})
    conclusions = [f"{name} could not be asked of {live}: the version there was never recorded" for name in unasked]
    for name, finding in found.items():
        conclude = _of_health if name in health else _of_digest if name == PROBE else _of_check
        conclusions.append(_conclusion(finding, live, switch.candidate, conclude))
    return Compared(tuple(conclusions), tuple(found.values()))


async def looked(asked: Mapping[str, Look]) -> dict[str, Finding]:
    """What each look finds, all at once; of one that hangs or is defect, that it does."""

    async def one(name: str, look: Look) -> Finding:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await look()
        except TimeoutError:
            return Finding(name, False, f"no answer within {LOOK_SECONDS:g} s", detail={UNFINISHED: "yes"})
        except Exception as error:  # a defect in one says nothing of the others
            return Finding(name, False, f"no answer ({type(error).__name__})", detail={UNFINISHED: "yes"})

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one(name, look)) for name, look in asked.items()}
    return {name: task.result() for name, task in tasks.items()}


# --- what failed ---


def _failed(state: ServiceState, halt: Halt, ports: Ports) -> list[Check]:
    failed = {finding.check for finding in halt.failed()}
    digest = [ports.digest] if ports.digest is not None else []
    return [one for one in (*ports.smoke, *ports.gates, *ports.guards, *digest) if one.name in failed]


def _guards(state: ServiceState, halt: Halt, asked: Mapping[str, Look]) -> list[Guard]:
    """Those that were made of halts; one of the same name in the file goes before it."""
    failed = {finding.check for finding in halt.failed()} - asked.keys()
    return [guard for guard in state.notes.lessons.guards.values() if guard.name in failed]


async def _by_guard(guard: Guard, ports: Ports, there: Scene) -> Finding:
    check = ports.open_guard(guard.check)
    try:
        return await check.look(there)
    finally:
        await check.close()


def _health(live: str, switch: Switch, halt: Halt, ports: Ports) -> Iterator[tuple[str, Look]]:
    """The health of the live side, at each switch point where the candidate's was too bad."""
    enough = ports.health if switch.kind is Kind.DEPLOYMENT else ports.failback_health
    failed = {finding.check for finding in halt.failed()}
    for point in ports.balancers:
        if looks.health_of(point, switch.candidate) in failed:
            yield looks.health_of(point, live), partial(_healthy, point, live, ports, enough)


async def _healthy(point: str, live: str, ports: Ports, enough: Enough) -> Finding:
    seen = await looks.at_all({point: ports.balancers[point]}, lambda balancer: balancer.targets())
    return looks.healthy(point, live, seen[point], enough)


# --- in words ---

Conclude = Callable[[Finding, str, str], str]


def _conclusion(finding: Finding, live: str, candidate: str, conclude: Conclude) -> str:
    if UNFINISHED in finding.detail:
        return f"{finding.check} gave {finding.summary} on {live}: nothing to compare with"
    if live == candidate:
        return f"{finding.check} was asked again of {live}: {finding.summary}"
    return conclude(finding, live, candidate)


def _of_check(finding: Finding, live: str, candidate: str) -> str:
    if finding.ok:
        return f"{finding.check} is good on {live}: the check itself works, the fault is {candidate}'s"
    return f"{finding.check} fails on {live} too ({finding.summary}): {SHARED}"


def _of_health(finding: Finding, live: str, candidate: str) -> str:
    point = finding.check.removesuffix(looks.health_of("", live))
    same = f"{point}: the same look at {live}, which is live"
    if looks.unread([finding]):
        return f"{same}: {finding.summary}: nothing to compare with"
    if finding.ok:
        return f"{same}: good ({finding.summary}): the balancer's health checks work, the fault is {candidate}'s"
    return f"{same}: bad too ({finding.summary}): {SHARED}"


def _of_digest(finding: Finding, live: str, candidate: str) -> str:
    same = f"{finding.check}: the same look at {live}, which is live"
    if not finding.ok:
        return f"{same}: bad too ({finding.summary}): {SHARED}"
    if SILENT in finding.detail:
        return f"{same}: no answer that can be used ({finding.detail[SILENT]}): nothing to compare with"
    if UNPROVEN in finding.detail:
        return f"{same}: it answers ({finding.summary}): the probe itself works"
    return f"{same}: good ({finding.summary}): the probe itself works, the fault is {candidate}'s"
