"""What nobody knows, and the look that finds it out. Pure; the look itself is a step that changes nothing.

A person decides by facts: at a halt, what is unknown is looked up at once, and whatever relies on it waits for that
look. A look that could tell nothing is on the halt (`looked`); from there on `resume` orders the next one.
"""

from __future__ import annotations

from bluegreen.core import steps as st
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import Refused
from bluegreen.model import Condition, Phase


def look(state: ServiceState) -> st.Step | None:
    """What finds out the next thing that is unknown of the open switch; None where all is known."""
    for point, change in state.unsettled.items():
        return st.LookUp(point, change.expected, change.target, change.split)
    switch = state.open_switch
    return st.FindDeploy() if switch is not None and switch.open is not None and switch.open.unknown else None


def look_at_a_halt(state: ServiceState) -> st.Step | None:
    """The same at a halt: once, unless a person orders another one."""
    switch = state.open_switch
    return look(state) if switch is not None and switch.halt is not None and not switch.halt.looked else None


def artifact_tells(state: ServiceState, switch: Switch) -> bool:
    """Whether the artifact in the candidate says what became of the present deployment: not where an earlier one has
    brought the same, or an earlier try of this one may have."""
    tried = any(one.step == Phase.DEPLOY for one in switch.operations)
    brought = {_bare(one.artifact or one.version or "") for one in state.past if one.candidate == switch.candidate}
    given = {_bare(one) for one in (switch.artifact, switch.version) if one}
    return switch.artifact is not None and not tried and not brought & given


def _bare(artifact: str) -> str:
    """`registry/web@sha256:AB…` as `sha256:ab…`."""
    return artifact.rpartition("@")[2].removeprefix("sha256:").lower()


def what(state: ServiceState) -> str:
    """What is unknown now, in words; empty where all is known."""
    if state.in_doubt:
        return f"it is not known what became of a write to {', '.join(sorted(state.in_doubt))}"
    switch = state.open_switch
    if switch is not None and switch.open is not None and switch.open.unknown:
        return f"it is not known what became of the deployment to {switch.candidate}"
    return ""


def awaited(state: ServiceState) -> bool:
    """Whether a halt waits for a look at what is unknown."""
    switch = state.open_switch
    return switch is not None and switch.condition is Condition.HALTED and bool(what(state))


def pending(state: ServiceState) -> bool:
    """Whether that look is still to come, or under way."""
    switch = state.open_switch
    return awaited(state) and switch is not None and switch.halt is not None and not switch.halt.looked


def looked_up(state: ServiceState, verb: str) -> None:
    """Raises Refused at a halt while something unknown is being looked up that `verb` would rely on."""
    if pending(state):
        raise Refused(f"cannot {verb}: {what(state)}", "it is being looked up now: look again in a moment")


def known(state: ServiceState, verb: str) -> None:
    """Raises Refused at a halt while something is unknown that `verb` would rely on. After a look in vain, `resume` is
    the order to look again: it goes on only from what that look tells."""
    looked_up(state, verb)
    if awaited(state) and verb != "resume":
        raise Refused(f"cannot {verb}: {what(state)}", "`resume` looks it up first")


def no_deployment_under_way(state: ServiceState, verb: str) -> None:
    """Raises Refused while a deploy command runs, or may run: two never work on one environment."""
    switch = state.open_switch
    if switch is not None and switch.open is not None and switch.open.step == Phase.DEPLOY:
        raise Refused(
            f"cannot {verb}: the deployment to {switch.candidate} is still under way",
            f"its outcome comes first; to end it: bluegreen abort {state.service}",
        )
