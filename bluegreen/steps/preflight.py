"""Before anything is touched: everything that the way forward needs is tried."""

from __future__ import annotations

from bluegreen.core import events as ev
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import BalancerError
from bluegreen.model import Cause, Finding, percent
from bluegreen.ports import Ports, Store
from bluegreen.steps import guards, looks


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
    scene = ports.scene(candidate, version, artifact)
    findings = [await store.writable(), *await looks.steady(lambda: _examined(ports))]
    findings.extend(await looks.steady(lambda: looks.weights(ports, state)))
    findings.append(await _idle(candidate, state, ports, switch.accepted if switch else frozenset()))
    findings.extend(await looks.steady(lambda: looks.health(ports, live, ports.failback_health)))
    findings.extend(await ports.deployer.examine(scene))
    findings.extend(await guards.look(state, ports, scene, switch.accepted if switch else frozenset()))
    return tuple(findings)


async def _examined(ports: Ports) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for name, found in (await looks.at_all(ports.balancers, lambda balancer: balancer.examine())).items():
        if isinstance(found, BalancerError):
            findings.append(Finding(f"{name}: reachable", ok=False, summary=found.what, advice=found.advice))
        else:
            findings.extend(found)
    return tuple(findings)


async def _idle(candidate: str, state: ServiceState, ports: Ports, accepted: frozenset[str]) -> Finding:
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
        ok=in_flight == 0 or name in accepted,
        summary=summary,
        advice="wait until they have ended and `resume`; or accept that the deployment cuts them" if in_flight else "",
        acceptable=True,
    )
