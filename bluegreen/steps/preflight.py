"""Before anything is touched: everything that the way forward and the way back will need is tried."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import BalancerError
from bluegreen.model import Cause, Finding, percent
from bluegreen.ports import Ports, Scene, Store
from bluegreen.steps import guards, looks

AROUND_LOOKS_MAX = 2
"""What the host lacks is mostly no flap; a notifier that was just restarted is one."""


async def run(switch: Switch, state: ServiceState, ports: Ports, store: Store) -> ev.Event:
    """PreflightPassed with every finding, or a halt with all of them: not only the first."""
    findings = await examine(switch.candidate, switch.source, switch, state, ports, store)
    if looks.all_ok(findings):
        return ev.PreflightPassed(findings)
    return looks.halted(switch, Cause.DRIFT if looks.drifted(findings) else Cause.PREFLIGHT_FAILED, findings)


async def examine(
    candidate: str, live: str, switch: Switch | None, state: ServiceState, ports: Ports, store: Store,
    version: str | None = None, artifact: str | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """Every finding of a preflight. Changes nothing: `plan` shows the same, with no switch."""
    if switch is not None:
        version, artifact = switch.version, switch.artifact
    scene, accepted = ports.scene(candidate, version, artifact), switch.accepted if switch else frozenset[str]()
    both = (scene, present(live, state, ports))
    findings = [await store.writable(), *await looks.steady(lambda: balancers(ports))]
    findings.extend(await looks.steady(lambda: looks.weights(ports, state)))
    findings.append(await idle(candidate, state, ports))
    findings.extend(await looks.steady(lambda: looks.health(ports, live, ports.failback_health)))
    findings.extend(await ports.deployer.examine(scene))
    findings.extend(await looks.steady(lambda: around(ports, both, accepted), AROUND_LOOKS_MAX))
    passed = [looks.unless_accepted(one, accepted) if one.acceptable else one for one in findings]
    return (*passed, *await guards.look(state, ports, scene, accepted))


def present(environment: str, state: ServiceState, ports: Ports) -> Scene:
    """An environment as it stands on record: the way back leads there."""
    release = state.releases.get(environment)
    return ports.scene(environment, release.version if release else None, release.artifact if release else None)


async def around(ports: Ports, scenes: Sequence[Scene], accepted: Collection[str] = ()) -> tuple[Finding, ...]:
    """What a switch needs beside balancers and checks: of the host, of people, of the place where flags are."""
    needs = await ports.needs.look(scenes) if ports.needs is not None else ()
    found = (*needs, *(await ports.flags.examine() if ports.flags is not None else ()))
    return tuple(looks.unless_accepted(one, accepted) for one in found)


async def balancers(ports: Ports) -> tuple[Finding, ...]:
    """What every balancer says of itself: reachable, permitted, well configured."""
    findings: list[Finding] = []
    for name, found in (await looks.at_all(ports.balancers, lambda balancer: balancer.examine())).items():
        if isinstance(found, BalancerError):
            findings.append(Finding(f"{name}: reachable", ok=False, summary=found.what, advice=found.advice))
        else:
            findings.extend(found)
    return tuple(findings)


async def idle(candidate: str, state: ServiceState, ports: Ports) -> Finding:
    """Idle is idle: no share of the traffic, and nothing of an earlier share still in flight."""
    name, share = f"{candidate}-idle", state.share(candidate)
    if share > 0:
        what = f"{candidate} has {percent(share)} of the traffic"
        return Finding(name, ok=False, summary=what, advice="what has traffic is never deployed over")
    seen = await looks.at_all(ports.balancers, lambda balancer: balancer.targets())
    in_flight = sum(
        target.in_flight or 0
        for targets in seen.values()
        if not isinstance(targets, BalancerError)
        for target in targets.get(candidate, ())
    )
    summary = f"{candidate} has no traffic" + (
        f", but {in_flight} requests are still in flight there" if in_flight else ""
    )
    return Finding(
        name,
        ok=in_flight == 0,
        summary=summary,
        advice="wait until they have ended and `resume`; or accept that the deployment cuts them" if in_flight else "",
        acceptable=True,
    )
