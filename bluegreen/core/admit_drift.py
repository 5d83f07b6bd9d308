"""What of an operator's answers to a drift is lawful now: `adopt`, `restore`, `leave`; and what a drift forbids. Pure.

`admit` asks these; they raise Refused or StateMoved and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bluegreen.core import events as ev
from bluegreen.core import unknown
from bluegreen.core.requests import Adopt, Leave, Restore, is_said
from bluegreen.core.state import Drift, ServiceState
from bluegreen.errors import Refused, StateMoved
from bluegreen.model import Condition, Phase, percent


def adopt(request: Adopt, state: ServiceState) -> Sequence[ev.Event]:
    """Take what is shown for the truth. What gives nobody any traffic is nothing to build on."""
    _still(state, "adopt")
    unknown.looked_up(state, "adopt")
    moved = {
        name: seen
        for name, seen in request.seen.items()
        if name in state.in_doubt or name not in state.points or not state.points[name].native.same_split(seen)
    }
    if state.distrust:
        moved = dict(request.seen)
    if not moved:
        raise Refused("every switch point shows what the journal says", "there is nothing to adopt")
    for name, seen in moved.items():
        if not seen.total:
            raise Refused(
                f"{name} shows no weight for anybody: that is nothing to take for the truth",
                f"put it right there, or: bluegreen restore {state.service}",
            )
    return (ev.Adopted(moved),)


def restore(request: Restore, state: ServiceState) -> Sequence[ev.Event]:
    """Order the balancers back to what the journal says, each on top of what the operator was shown."""
    if not is_said(request.reason):
        raise Refused("a restore needs a reason", "say why: --reason TEXT")
    _still(state, "restore")
    switch = state.open_switch
    if switch is not None and switch.open is not None and switch.open.step == Phase.DEPLOY:
        raise Refused(f"{switch.id}: {switch.open.step} is still under way", "its outcome comes first: look again then")
    if state.in_doubt:
        names = ", ".join(sorted(state.in_doubt))
        raise Refused(
            f"cannot restore: it is not known what became of a write to {names}",
            f"`resume` looks it up first, or take it as it is: bluegreen adopt {state.service}",
        )
    chosen = _chosen(request.drift, state, "restore")
    if all(drift.what for drift in chosen):
        raise Refused(
            "; ".join(f"{drift.point}: {drift.what}" for drift in chosen),
            "no weights can be written there: mend it at the balancer, or change the configuration",
        )
    return (ev.RestoreAsked({drift.point: drift.seen for drift in chosen}),)


def leave(request: Leave, state: ServiceState) -> Sequence[ev.Event]:
    """Leave the balancers as they are, on record."""
    if not is_said(request.reason):
        raise Refused("leaving a drift needs a reason", "say why: --reason TEXT")
    _still(state, "leave")
    chosen = [drift for drift in _chosen(request.drift, state, "leave") if drift.left is None]
    if not chosen:
        raise Refused("it is left as it is already", f"see `bluegreen explain {state.service}`")
    return (ev.DriftLeft({drift.point: drift.seen for drift in chosen}),)


def answered(drifts: Mapping[str, Drift]) -> frozenset[str]:
    """Which drifts an answer means that names none: those that nobody has left as they are; else all."""
    fresh = frozenset(drift.id for drift in drifts.values() if drift.left is None)
    return fresh or frozenset(drift.id for drift in drifts.values())


def no_drift(state: ServiceState) -> None:
    """Raises Refused while a balancer shows something else than the journal says, or is being restored; or while the
    journal itself is not to be believed."""
    if state.distrust:
        raise Refused(
            f"{state.service}: {state.distrust}",
            f"look at the balancers; if they show what is right: bluegreen adopt {state.service}",
        )
    no_order(state)
    for drift in state.drift.values():
        left = f"; it was left as it is by {drift.left.by}: {drift.left.reason}" if drift.left else ""
        raise Refused(
            f"switch point {drift.point} {drift.shows}, the journal says {drift.expected}{left}",
            f"first put it right at the balancer, or: bluegreen restore {state.service}, "
            f"or take it as it is: bluegreen adopt {state.service}",
        )


def no_order(state: ServiceState) -> None:
    """Raises Refused while an operator's order to restore has not ended."""
    if state.restore is None:
        return
    if state.restore.shown:
        names = ", ".join(sorted({*state.restore.shown, *state.restore.unread}))
        raise Refused(f"{names}: being restored, as {state.restore.word.by} ordered", "wait for its outcome")
    raise Refused(
        f"{', '.join(sorted(state.restore.unread))}: it is not known what became of a restoring write",
        f"it is looked up as soon as it can be read; or take it as it is: bluegreen adopt {state.service}",
    )


def no_traffic_by_drift(state: ServiceState, environment: str) -> None:
    """Raises Refused where another hand gave the environment traffic."""
    for drift in state.drift.values():
        if (share := drift.seen.share(environment)) > 0:
            raise Refused(
                f"somebody else gave {environment} {percent(share)} of the traffic at {drift.point}",
                f"first: bluegreen restore {state.service}, or bluegreen adopt {state.service}",
            )


def _still(state: ServiceState, verb: str) -> None:
    """No switch moves weights, and no order is being carried out."""
    switch = state.open_switch
    if switch is not None and switch.condition is not Condition.HALTED:
        raise Refused(
            f"{switch.id} is {switch.condition}: weights change while it goes on",
            f"see `bluegreen explain {state.service}` for what is lawful now",
        )
    if verb != "adopt" or (state.restore is not None and state.restore.shown):
        no_order(state)


def _chosen(ids: frozenset[str], state: ServiceState, verb: str) -> list[Drift]:
    if not state.drift:
        raise Refused("every switch point shows what the journal says", f"there is nothing to {verb}")
    chosen = [drift for drift in state.drift.values() if drift.id in ids]
    if len(chosen) < len(ids) or not chosen:
        raise StateMoved(
            f"{state.service} no longer shows what you were shown: nothing was written",
            f"look again: bluegreen explain {state.service}",
        )
    return chosen
