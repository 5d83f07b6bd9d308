"""Everything that a switch of a service will need, there and back, looked at now: every guard, every credential, every
check against what is live. It changes nothing, and it ends in time, whatever hangs.

A preflight halts a deployment on the same looks (see `steps.preflight`), but for checks against what is live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bluegreen.core import freeze
from bluegreen.core.readiness import goals
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.model import Finding
from bluegreen.observe import ANSWER_SECONDS
from bluegreen.ports import Check, Clock, Ports, Scene, Store
from bluegreen.steps import guards, looks, preflight

SECONDS = 25.0
"""How long all of it may take: what has not answered by then is told as not answering."""
NO_VERSION = "0"
"""Stands for the version of a deployment that nobody has asked for yet, where a program's arguments want one."""

_ILL = "it fails where users are now: what it asks is ill, or the check itself; a candidate would fail by it too"

Look = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class Section:
    """One thing that was looked at: `about` is what it belongs to, in words."""

    about: str
    findings: tuple[Finding, ...]


async def examine(engine: ServiceEngine, clock: Clock, seconds: float = SECONDS) -> tuple[Section, ...]:
    """Look at everything of one service, each part on its own. Ends within `seconds` and a moment."""
    state, ports = engine.state, engine.ports()
    looked: dict[str, Look] = {
        "balancers": lambda: preflight.balancers(ports),
        "weights and health": lambda: _seen(engine, ports),
        "the way forward": lambda: _forward(state, ports),
        "this host": lambda: preflight.around(ports, _scenes(state, ports)),
        "guards": lambda: _guards(state, ports),
        "smoke checks, asked of what is live": lambda: _checks(_askable(state, ports), state, ports),
        "gates": lambda: _checks(ports.gates, state, ports),
        "the way back": lambda: _back(engine, clock),
        "freezes": lambda: _freezes(engine, clock),
    }
    async with asyncio.TaskGroup() as group:
        tasks = {about: group.create_task(within(about, look, seconds)) for about, look in looked.items()}
    return tuple(Section(about, task.result()) for about, task in tasks.items() if task.result())


async def of_daemon(store: Store, seconds: float = SECONDS) -> tuple[Finding, ...]:
    """What all services share: the journal takes writes."""

    async def look() -> Sequence[Finding]:
        return (await store.writable(),)

    return await within("journal", look, seconds)


async def within(about: str, look: Look, seconds: float) -> tuple[Finding, ...]:
    """What a look finds; where it does not end in time, or is defect, that is what was found."""
    try:
        async with asyncio.timeout(seconds):
            return tuple(await look())
    except TimeoutError:
        return (Finding(about, ok=False, summary=f"no answer within {seconds:g} s", advice="see what hangs there"),)
    except Exception as error:  # one defect must not hide what else there is to know
        what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
        return (Finding(about, ok=False, summary=what, advice="please report it"),)


# --- the looks ---


async def _seen(engine: ServiceEngine, ports: Ports) -> Sequence[Finding]:
    await engine.observe(ANSWER_SECONDS)
    state, found = engine.state, []
    for point, seen in engine.seen.items():
        if seen.weights is None:
            found.append(Finding(f"{point}: weights", False, f"cannot be read: {seen.error}", "see `balancers`"))
        elif (drift := state.drift.get(point)) is not None:
            what = f"the balancer {drift.shows}, the journal says {drift.expected}"
            advice = f"`bluegreen restore {state.service}`, or `bluegreen adopt {state.service}`"
            found.append(Finding(f"{point}: weights", False, what, advice))
        else:
            found.append(Finding(f"{point}: weights", True, f"{seen.weights}, as on record"))
    if state.live is None:
        what = "it is not known which environment is live"
        return (*found, Finding("live", False, what, f"bluegreen explain {state.service}"))
    return (*found, *await looks.health(ports, state.live, ports.failback_health))


async def _forward(state: ServiceState, ports: Ports) -> Sequence[Finding]:
    return await ports.deployer.examine(_scenes(state, ports)[0])


async def _guards(state: ServiceState, ports: Ports) -> Sequence[Finding]:
    found = await guards.look(state, ports, _scenes(state, ports)[0], ())
    return [one for one in found if one.check != "lessons"]


async def _checks(checks: Sequence[Check], state: ServiceState, ports: Ports) -> Sequence[Finding]:
    """Against what is live: a check that fails there tells nothing of a candidate."""
    if state.live is None:
        return ()
    scene = preflight.present(state.live, state, ports)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(within(one.name, _one(one, scene), SECONDS - 5)) for one in checks]
    found = [finding for task in tasks for finding in task.result()]
    return [
        replace(one, check=f"{one.check} on {state.live}", advice="" if one.ok else one.advice or _ILL, detail={})
        for one in found
    ]


def _askable(state: ServiceState, ports: Ports) -> Sequence[Check]:
    """What can be asked of a release whose version was never recorded, too."""
    known = (release := state.releases.get(state.live or "")) is not None and release.version is not None
    return [check for check in ports.smoke if known or check.name in ports.smoke_unversioned]


def _one(check: Check, scene: Scene) -> Look:
    async def look() -> Sequence[Finding]:
        return (await check.look(scene),)

    return look


async def _back(engine: ServiceEngine, clock: Clock) -> Sequence[Finding]:
    """By what is proven all the time: nothing is asked twice."""
    environment = next(iter(goals(engine.state)), None)
    readiness = engine.readiness.get(environment or "")
    if environment is None:
        return ()
    name, now = f"failback to {environment}", clock.now()
    reasons = readiness.reasons(now) if readiness is not None else ("nothing was proven yet",)
    if reasons:
        return (Finding(name, False, "; ".join(reasons), f"bluegreen ready {engine.setup.service}"),)
    count = len(readiness.proofs) if readiness is not None else 0
    return (Finding(name, True, f"possible now, by {count} proofs"),)


async def _freezes(engine: ServiceEngine, clock: Clock) -> Sequence[Finding]:
    """A freeze is no fault: it is said, for whoever is about to begin something."""
    now = clock.now()
    coming = engine.freezes.next(now)
    in_force = [(one, "in force") for one in engine.freezes.active(now)]
    return [
        Finding(f"freeze {one.name}", True, f"{word}: {freeze.period(one)}")
        for one, word in (*in_force, *([(coming, "ahead")] if coming else ()))
    ]


def _scenes(state: ServiceState, ports: Ports) -> tuple[Scene, Scene]:
    """Where the next release would go, or goes now, and what is live."""
    switch, names = state.open_switch, [one.name for one in ports.environments]
    live = state.live or names[0]
    here = preflight.present(live, state, ports)
    if switch is not None:
        return ports.scene(switch.candidate, switch.version or NO_VERSION, switch.artifact), here
    candidate = next(name for name in names if name != live)
    return ports.scene(candidate, here.version or NO_VERSION, None), here
