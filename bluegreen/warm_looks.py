"""What is looked at to prove a way back: the balancers, the right to write there, the release, the smoke checks.

Each look is one probe with its own pace. It changes nothing and decides nothing. To prove one more thing, write a look
and give it a line in `probes`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bluegreen.core.readiness import Subject
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.model import FOR_A_FAILBACK, UNPROVEN, Finding, Target, TargetState
from bluegreen.observe import Seen
from bluegreen.ports import Check, Clock, Enough, Ports
from bluegreen.steps import looks

SEEN_PART = 3.0
"""The engine's last look at the balancers is never older than this part of the pace; nobody asks them in between."""
FIRST_LOOK_EVERY = 0.1
RELEASE = "release on record"
"""No smoke check can have this name, nor one with a colon: what was proven of one is never taken for the other."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found, and when it was begun."""

    at: datetime
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was bad."""
        return looks.all_ok(self.findings)


@dataclass(frozen=True, slots=True)
class Probe:
    """One look, and how many seconds lie between two."""

    name: str
    every: float
    look: Callable[[], Awaitable[Looked]]


def probes(engine: ServiceEngine, subject: Subject, clock: Clock) -> tuple[Probe, ...]:
    """Everything that a failback to the subject needs. What runs there is asked only where it has no traffic."""
    ports = engine.ports()
    of_points = [
        Probe(f"{point}: rights", ports.rights_every, partial(_rights, engine, point, clock))
        for point in ports.balancers
    ]
    return (
        Probe("the balancers", ports.warm_every / SEEN_PART, partial(_balancers, engine, subject.environment, clock)),
        *of_points,
        Probe(RELEASE, ports.warm_every, partial(_release, engine, subject, clock)),
        *_digest(engine, subject, clock),
        *(() if subject.carries else _smoke(engine, subject, clock)),
    )


def by_balancers(engine: ServiceEngine, environment: str, now: datetime) -> Looked:
    """What the last look at the balancers says about an environment. Asks nobody."""
    ports, state = engine.ports(), engine.state
    found: list[Finding] = []
    for point in ports.balancers:
        found += _at_point(point, environment, engine.seen.get(point), state, ports.failback_health)
    return Looked(min((one.at for one in engine.seen.values()), default=now), tuple(found))


# --- the looks ---


async def _balancers(engine: ServiceEngine, environment: str, clock: Clock) -> Looked:
    """By the engine's own last look: the balancers are not asked twice."""
    while not engine.seen:  # the first look, or the first by a new configuration, is under way; we are ended in time
        await clock.sleep(FIRST_LOOK_EVERY)
    return by_balancers(engine, environment, clock.now())


async def _rights(engine: ServiceEngine, point: str, clock: Clock) -> Looked:
    """What a preflight asks of the balancer, as far as a failback needs it; what an operator went past by name in the
    last switch is not held up."""
    at, last = clock.now(), engine.state.switch
    accepted = last.accepted if last else frozenset[str]()
    found = [_for_a_failback(finding) for finding in await engine.ports().balancers[point].examine()]
    return Looked(at, tuple(looks.unless_accepted(finding, accepted) for finding in found))


def _for_a_failback(finding: Finding) -> Finding:
    said = finding.detail.get(FOR_A_FAILBACK)
    return finding if said is None else replace(finding, ok=True, summary=said)


async def _release(engine: ServiceEngine, subject: Subject, clock: Clock) -> Looked:
    """What is on record as running there."""
    if subject.version is None:
        what = f"the version in {subject.environment} was never recorded: checks that ask for it are left out"
    else:
        artifact = f", artifact {subject.artifact}" if subject.artifact else ""
        what = f"{subject.version}{artifact} is on record in {subject.environment}"
    detail = {UNPROVEN: "yes"} if subject.version is None else {}
    return Looked(clock.now(), (Finding(RELEASE, ok=True, summary=what, detail=detail),))


def _digest(engine: ServiceEngine, subject: Subject, clock: Clock) -> tuple[Probe, ...]:
    """What runs there says of itself which artifact it is; nothing where nobody asks for that."""
    ports = engine.ports()
    check: Check | None = ports.digest
    if check is None:
        return ()

    async def look() -> Looked:
        scene = ports.scene(subject.environment, subject.version, subject.artifact)
        return Looked(clock.now(), (await check.look(scene),))

    return (Probe("the digest", max(ports.warm_every, check.every), look),)


def _smoke(engine: ServiceEngine, subject: Subject, clock: Clock) -> tuple[Probe, ...]:
    """A probe a smoke check; none more often than the check's own `every`."""
    ports = engine.ports()

    def probe(name: str, every: float) -> Probe:
        async def look() -> Looked:
            at = clock.now()
            return Looked(at, await _asked(engine.ports(), subject, name))

        return Probe(name, max(ports.warm_every, every), look)

    possible = [check for check in ports.smoke if subject.version or check.name in ports.smoke_unversioned]
    return tuple(probe(check.name, check.every) for check in possible)


async def _asked(ports: Ports, subject: Subject, name: str) -> tuple[Finding, ...]:
    """The check by its name: ports are opened anew when the configuration changes."""
    scene = ports.scene(subject.environment, subject.version, subject.artifact)
    return tuple([await check.look(scene) for check in ports.smoke if check.name == name])


# --- one switch point ---


def _at_point(
    point: str, environment: str, seen: Seen | None, state: ServiceState, enough: Enough
) -> tuple[Finding, ...]:
    if seen is None or seen.weights is None:
        what = f"cannot be read: {seen.error if seen else 'not read yet'}"
        return (Finding(f"{point}: weights", ok=False, summary=what),)  # what to do is told with the error
    return (
        _weights(point, seen, state),
        looks.healthy(point, environment, seen.targets, enough),
        _attached(point, environment, seen.targets),
        _capacity(point, environment, seen, state, enough),
    )


def _weights(point: str, seen: Seen, state: ServiceState) -> Finding:
    drift = state.drift.get(point)
    if drift is None:
        return Finding(f"{point}: weights", ok=True, summary=f"{seen.weights}, as on record")
    what = f"{drift.shows}, the journal says {drift.expected}"
    advice = f"`bluegreen restore {state.service}`, or `bluegreen adopt {state.service}`"
    return Finding(f"{point}: weights", ok=False, summary=what, advice=advice)


def _attached(point: str, environment: str, targets: Mapping[str, tuple[Target, ...]]) -> Finding:
    """Whether the balancer looks after the targets at all: what is not attached is not checked."""
    registered = targets.get(environment, ())
    unused = [target for target in registered if target.state is TargetState.UNUSED]
    if registered and len(unused) == len(registered):
        what = f"no target of {environment} is in use there: nobody checks its health"
        return Finding(f"{point}: {environment} attached", ok=False, summary=what, advice=unused[0].reason)
    return Finding(f"{point}: {environment} attached", ok=True, summary=f"{len(registered)} targets are registered")


def _capacity(point: str, environment: str, seen: Seen, state: ServiceState, enough: Enough) -> Finding:
    """Enough for the load of the side that has the traffic now: the least of a failback, of what is healthy there."""
    other = _left(environment, seen, state)
    healthy, there = seen.healthy(environment), seen.healthy(other) if other else 0
    wanted = enough.of(max(there, len(seen.targets.get(environment, ()))))
    what = f"{healthy} healthy for the load of {there} in {other or 'nobody'}, wanted {wanted}"
    advice = "" if healthy >= wanted else f"start more of {environment}, or lower `failback.minimum`"
    return Finding(f"{point}: capacity", healthy >= wanted, what, advice)


def _left(environment: str, seen: Seen, state: ServiceState) -> str | None:
    """The environment that a failback would leave: the other one with the most traffic."""
    others = [name for name in seen.weights or () if name != environment]
    return max(others, key=lambda name: (seen.share(name), name == state.live), default=None)
