"""Bring the release into the candidate environment, by whatever deployer the service has."""

from __future__ import annotations

from bluegreen.core import events as ev
from bluegreen.core.state import Switch
from bluegreen.model import Cause
from bluegreen.ports import Ports
from bluegreen.steps import looks


async def run(switch: Switch, ports: Ports) -> ev.Event:
    """Deployed, or a halt with the end of what the deployer printed."""
    outcome = await ports.deployer.deploy(ports.scene(switch.candidate, switch.version, switch.artifact))
    if outcome.ok:
        return ev.Deployed(outcome.summary, outcome.output, outcome.detail)
    return looks.halted(
        switch,
        Cause.DEPLOY_FAILED,
        summary=f"the deployment to {switch.candidate} failed: {outcome.summary}",
        advice=f"{switch.candidate} has no traffic and is left as it is; mend the cause, then `resume` to deploy again",
        output=outcome.output,
    )


def ended(switch: Switch) -> ev.Halted:
    """What goes on record for a deployment that was ended before it had an outcome."""
    return looks.halted(
        switch,
        Cause.INTERRUPTED,
        summary=f"the deployment to {switch.candidate} was ended before it finished",
        advice="its processes were ended; `resume` runs the deployment again",
    )
