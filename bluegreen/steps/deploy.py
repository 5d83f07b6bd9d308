"""Bring the release into the candidate environment, by whatever deployer the service has."""

from __future__ import annotations

from collections.abc import Awaitable

from bluegreen.core import events as ev
from bluegreen.core import unknown
from bluegreen.core.decide import run_id
from bluegreen.core.notes.artifacts import RUNS
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import Cause
from bluegreen.ports import NOT_ENDED, Alive, DeployOutcome, Ports, Scene
from bluegreen.steps import looks

_NOT_ENDED = "not_ended"


async def ready(switch: Switch, state: ServiceState, ports: Ports) -> ev.Halted | None:
    """The last look before a deployment: what has traffic by another hand is not deployed over."""
    findings = await looks.steady(lambda: looks.weights(ports, state))
    if looks.all_ok(findings):
        return None
    return looks.halted(switch, Cause.DRIFT if looks.drifted(findings) else Cause.BALANCER_UNREACHABLE, findings)


async def run(switch: Switch, ports: Ports, alive: Alive) -> ev.Event:
    """Deployed, or a halt with the end of what the deployer printed."""
    return _told(switch, await ports.deployer.deploy(_scene(switch, ports), run_id(switch), alive))


async def find(state: ServiceState, ports: Ports, alive: Alive) -> ev.Event:
    """What became of the deployment that another process began: its outcome, DeployNotMade where it shall be made now,
    or a halt: what may be done only once is not done again.

    Where the outcome is lost the candidate is asked which artifact it runs, if that tells anything.
    """
    if (switch := state.open_switch) is None:
        raise AssertionError("a deployment without an open switch")
    found = await ports.deployer.find(_scene(switch, ports), run_id(switch), alive)
    if found.outcome is not None:
        return _told(switch, found.outcome)
    if not found.started:
        return ev.DeployNotMade("the daemon ended before it was started")
    if unknown.artifact_tells(state, switch) and (runs := await _runs_it(switch, ports)):
        return ev.Deployed(f"the daemon ended while it ran, its outcome is lost; {runs}")
    if switch.plan.deploy_again:
        return ev.DeployNotMade("the daemon ended while it ran, its outcome is lost; it may be run again")
    return looks.halted(
        switch,
        Cause.INTERRUPTED,
        summary=f"the daemon ended while the deployment to {switch.candidate} ran: what became of it is not known",
        advice=f"look at {switch.candidate}, then `resume` to run the deployment again; it has no traffic",
        closes_step=True,
    )


async def _runs_it(switch: Switch, ports: Ports) -> str:
    """In words, that the candidate runs the artifact which was given; empty where that is not proven."""
    if ports.digest is None:
        return ""
    found = await ports.digest.look(_scene(switch, ports))
    return found.summary if found.ok and RUNS in found.detail else ""


def _scene(switch: Switch, ports: Ports) -> Scene:
    return ports.scene(switch.candidate, switch.version, switch.artifact)


def _told(switch: Switch, outcome: DeployOutcome) -> ev.Event:
    if outcome.ok:
        return ev.Deployed(outcome.summary, outcome.output, outcome.detail)
    return looks.halted(
        switch,
        Cause.DEPLOY_FAILED,
        summary=f"the deployment to {switch.candidate} failed: {outcome.summary}",
        advice=f"{switch.candidate} has no traffic and is left as it is; mend the cause, then `resume` to deploy again",
        output=outcome.output,
        error=_class_of(outcome),
    )


def _class_of(outcome: DeployOutcome) -> str:
    """How the deploy command ended: two failures that end alike are of one kind."""
    if outcome.detail == NOT_ENDED:
        return _NOT_ENDED
    code = outcome.detail.get("exit", "")
    return code.replace("-", "signal_") if code.startswith("-") else f"exit_{code}" if code else ""


async def left_over(ending: Awaitable[ev.Event | None]) -> str:
    """In words, what a deployment that is being ended leaves running, or may; empty where it is over."""
    try:
        outcome = await ending
    except TimeoutError as late:
        return f"whether it has ended is not known: {late}"
    told = isinstance(outcome, ev.Halted) and (outcome.error == _NOT_ENDED or outcome.cause is Cause.BUG)
    return outcome.summary if isinstance(outcome, ev.Halted) and told else ""


def ended(switch: Switch, left: str = "") -> ev.Halted:
    """What goes on record for a deployment that was ended before it had an outcome. `left`: what could not be ended."""
    if left:
        return looks.halted(
            switch,
            Cause.INTERRUPTED,
            summary=f"the deployment to {switch.candidate} was to be ended: {left}",
            advice=f"see to it on the host that nothing works on {switch.candidate} any more; then `abort` again",
        )
    return looks.halted(
        switch,
        Cause.INTERRUPTED,
        summary=f"the deployment to {switch.candidate} was ended before it finished",
        advice="its processes were ended; `resume` runs the deployment again",
    )
