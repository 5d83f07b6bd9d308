"""What each way on or back risks, in one sentence: from the phase and the facts, never from hope. Pure.

What nobody has said is unknown, and unknown is told as a risk.
"""

from __future__ import annotations

from collections.abc import Sequence

from bluegreen.core.failback import judged
from bluegreen.core.forward import Moved, moved_forward
from bluegreen.core.state import ServiceState, Switch
from bluegreen.core.verdicts import Verdict
from bluegreen.model import WHOLE, Finding, Kind, Phase, percent

NONE = "none"
_ILL_MAX = 3
"""So many things that are wrong with the way back are told in one risk; all of them by `ready`."""


def staying(state: ServiceState) -> str:
    """What it means that everything stays as it is."""
    switch = state.open_switch
    share = shown(state, switch.candidate) if switch is not None else 0
    if switch is not None and (maybe := _maybe(state, switch)):
        return maybe
    if switch is not None and switch.phase is Phase.KEEP_WARM and share == WHOLE:
        return f"none: all of the traffic is where the {switch.kind} has brought it"
    if switch is None or not share:
        return "none: nobody but the checks reaches the candidate"
    return f"{percent(share)} of the traffic stays on {switch.candidate}, with whatever is wrong there"


def _maybe(state: ServiceState, switch: Switch) -> str:
    """Where a write was lost nobody knows how many users get to the candidate: that is never told as none."""
    most = max((change.split.share(switch.candidate) for change in state.in_doubt.values()), default=0)
    if not most:
        return ""
    return (
        f"not known: {switch.candidate} may have {percent(most)} of the traffic already, with whatever is wrong there"
    )


def shown(state: ServiceState, environment: str) -> int:
    """The environment's largest share over all switch points (tenths of a percent): as the balancers show it, where
    another hand has set another one than is on record."""
    seen = [drift.seen.share(environment) for drift in state.drift.values() if drift.seen.total]
    kept = [point.native.share(environment) for name, point in state.points.items() if name not in state.drift]
    return max([*seen, *kept], default=0)


def again(state: ServiceState) -> str:
    """What trying again risks."""
    switch = state.open_switch
    share = shown(state, switch.candidate) if switch is not None else 0
    if switch is not None and switch.phase is Phase.DEPLOY:
        return f"the deploy command runs again in {switch.candidate}, which has no traffic"
    if switch is not None and (maybe := _maybe(state, switch)):
        return f"none by itself; {maybe}"
    if switch is not None and switch.phase is Phase.KEEP_WARM and share == WHOLE:
        return "none: nothing is left to be done"
    if switch is None or not share:
        return "none: nothing goes on before it has passed"
    return f"none by itself; {percent(share)} of the traffic stays on {switch.candidate} meanwhile"


def going_on(state: ServiceState) -> str:
    """What going on from a pause risks."""
    switch = state.open_switch
    return f"more users get to {switch.candidate}" if switch is not None else NONE


def accepting(failed: Finding) -> str:
    """What it means to go past a failed check."""
    return f"goes on with a known failure: {failed.check}: {failed.summary}"


def everything_at_once(state: ServiceState, switch: Switch) -> str:
    """What a promotion skips."""
    left = 100 - state.share(switch.candidate) / 10
    return f"the other {left:g}% of the users at once: no further step in which a fault would show on a few"


def leaving_off(switch: Switch) -> str:
    """What an abort leaves behind."""
    if switch.open is not None and switch.open.step == Phase.DEPLOY:
        return f"the deploy command is ended in the middle: {switch.candidate} is left half done"
    return f"none for the users; {switch.candidate} is left as it is, and what is in it is not undone"


def forward(state: ServiceState, candidate: str, *, replaces_warm: bool) -> str:
    """What a new version risks, from here."""
    switch = state.open_switch
    if replaces_warm:
        return f"{candidate} is kept for a failback, and is given up: there is no failback to it any more"
    if switch is None:
        return "a new version: nobody has used it yet"
    if candidate == switch.candidate:
        return f"what failed in {candidate} is deployed over: it cannot be examined there any more"
    share = percent(state.share(switch.candidate))
    return f"{switch.candidate} keeps {share} of the traffic until the new version has it"


def back(state: ServiceState, target: str, source: str, ill: Sequence[str] = ()) -> str:
    """What the old side may not be able to take: what is known to be wrong with it now (`ill`), and what has moved
    forward since it was live, by the same verdicts as the report on a failback."""
    switch = state.switch
    brought = switch if switch is not None and switch.kind is Kind.DEPLOYMENT and switch.candidate == source else None
    more = f"; and {len(ill) - _ILL_MAX} more: bluegreen ready {state.service}" if len(ill) > _ILL_MAX else ""
    unready = f"{target} is not ready: {'; '.join(ill[:_ILL_MAX])}{more}; " if ill else ""
    if switch is not None and switch.halt is not None and state.notes.evidence.shared(switch.halt.id):
        unready = f"what failed fails on {state.live} too: a failback does not mend that; {unready}"
    return f"{unready}{_changes(moved_forward(state, target), target)}{_carrying(brought) if brought else ''}"


def _changes(moved: Moved, target: str) -> str:
    found: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for change in (change for release in moved.releases for change in release.manifest.changes):
        found[judged(change, target)[0]].append(f"{change.name} ({change.phase})" if change.phase else change.name)
    if bad := found[Verdict.UNSAFE]:
        return f"{target} cannot live with {', '.join(bad)}: roll forward rather than back"
    if not moved.whole or not all(release.manifest.is_whole for release in moved.releases):
        return f"no change manifest was given: whether {target} can work with what was done since is unknown"
    if open_ := found[Verdict.UNKNOWN]:
        return f"whether {target} can work with {', '.join(open_)} is unknown"
    return f"by its change manifest {target} can work with all that was changed"


def _carrying(switch: Switch) -> str:
    first = next((one.at for one in switch.operations if one.step == "set_weights" and one.outcome == "done"), None)
    return f"; {switch.candidate} has had traffic since {first:%Y-%m-%d %H:%M:%S} UTC" if first else ""
