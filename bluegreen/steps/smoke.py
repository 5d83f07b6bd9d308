"""Check the candidate before it gets any traffic; and what a failback asks of the environment it goes to."""

from __future__ import annotations

from collections.abc import Mapping

from bluegreen.core import events as ev
from bluegreen.core.readiness import taken_over
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import UNPROVEN, Cause, Finding
from bluegreen.ports import Clock, Ports
from bluegreen.steps import artifact, looks


async def run(switch: Switch, state: ServiceState, ports: Ports) -> ev.Event:
    """SmokePassed, or a halt that shows every check's finding, and the split if it is a mixed one."""
    scene = ports.scene(switch.candidate, switch.version, switch.artifact)
    ours = await artifact.look(switch, ports)
    findings = (*ours, *await looks.all_checks(ports.smoke, scene, switch.accepted))
    if looks.all_ok(findings):
        return ev.SmokePassed(findings)
    return looks.halted(switch, artifact.cause(findings, Cause.CHECK_FAILED), findings, split=state)


async def prove_warm(switch: Switch, state: ServiceState, ports: Ports, clock: Clock) -> ev.Event:
    """WarmProven, or a halt: the weights are those on record, and the receiving side can take the traffic.

    An environment that still carries traffic is proven by its health; one that is only warm also by the smoke checks.
    Weights and health are always looked at here; what else was proven within the last minute is not asked again.
    Gates are not asked: what they complain of is mostly the very reason for the failback.
    """
    findings = [
        *await looks.steady(lambda: looks.weights(ports, state)),
        *await looks.steady(lambda: looks.health(ports, switch.candidate, ports.failback_health)),
    ]
    if state.share(switch.candidate) == 0:
        findings.extend(await artifact.look(switch, ports))
        proven = taken_over(ports.readiness.get(switch.candidate), switch, clock.now())
        findings.extend(await _smoke_warm(switch, ports, proven))
        told = {finding.check for finding in findings}
        findings.extend(finding for name, finding in proven.items() if name not in told)
    if looks.all_ok(findings):
        return ev.WarmProven(tuple(findings))
    cause = Cause.DRIFT if looks.drifted(findings) else artifact.cause(findings, Cause.PREFLIGHT_FAILED)
    return looks.halted(switch, cause, findings, split=state)


async def _smoke_warm(switch: Switch, ports: Ports, proven: Mapping[str, Finding]) -> tuple[Finding, ...]:
    scene = ports.scene(switch.candidate, switch.version, switch.artifact)
    possible = [check for check in ports.smoke if switch.version or check.name in ports.smoke_unversioned]
    left_out = [check.name for check in ports.smoke if check not in possible]
    unproven = [check for check in possible if check.name not in proven]
    findings = await looks.all_checks(unproven, scene, switch.accepted)
    why = f"not asked: the version in {switch.candidate} was never recorded"
    return (
        *findings,
        *(proven[check.name] for check in possible if check.name in proven),
        *(Finding(name, ok=True, summary=why, detail={UNPROVEN: "yes"}) for name in left_out),
    )
