"""Who may ask what in which state: `admit(request, state, now) -> events | Refused`. Pure; nothing is written here.

A refusal says why, and what to do instead. The list of options that people are shown is made by asking this very
function (`halts.options`), so that no screen can offer what the daemon refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from bluegreen.core import admit_drift as drift
from bluegreen.core import admit_lessons, unknown
from bluegreen.core import events as ev
from bluegreen.core.freeze import no_freeze
from bluegreen.core.notes import debts
from bluegreen.core.requests import (
    Abort,
    Accept,
    Adopt,
    AnyRequest,
    Approve,
    Deploy,
    Failback,
    Leave,
    Pause,
    Pinned,
    Promote,
    Release,
    Request,
    Restore,
    Resume,
    Stop,
    is_said,
)
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import Refused, StateMoved
from bluegreen.model import Cause, Condition, Kind, Phase, percent

__all__ = [
    "Abort",
    "Accept",
    "Adopt",
    "AnyRequest",
    "Approve",
    "Deploy",
    "Failback",
    "Leave",
    "Pause",
    "Pinned",
    "Promote",
    "Release",
    "Request",
    "Restore",
    "Resume",
    "Stop",
    "admit",
    "choose_candidate",
    "failback_target",
]


def admit(request: AnyRequest, state: ServiceState, now: datetime) -> Sequence[ev.Event]:
    """The events that the request leads to, in order; with the cause of the halt that it answers, where one is given.
    Raises Refused, StateMoved or BadRequest; then nothing has changed."""
    return (*_admitted(request, state, now), *admit_lessons.told(request, state))


def _admitted(request: AnyRequest, state: ServiceState, now: datetime) -> Sequence[ev.Event]:
    _answers_this_halt(request, state)
    no_freeze(request, state)
    match request:
        case Deploy():
            return _deploy(request, state, now)
        case Failback():
            return _failback(request, state)
        case Approve():
            if not _open(state, "approve").awaiting_approval:
                raise Refused(f"{state.service}: no approval is awaited", _instead(state))
            return (ev.Approved(),)
        case Pause():
            switch = _open(state, "pause")
            if switch.condition is not Condition.RUNNING:
                raise Refused(f"{switch.id} is {switch.condition} already", _instead(state))
            return (ev.Paused(),)
        case Resume():
            return _resume(state)
        case Promote():
            return _promote(state)
        case Abort():
            return _abort(state)
        case Accept():
            return _accept(request, state)
        case Stop():
            return _stop(request, state)
        case Release():
            return _release(request, state)
        case Adopt():
            return drift.adopt(request, state)
        case Restore():
            return drift.restore(request, state)
        case Leave():
            return drift.leave(request, state)
    assert_never(request)


# --- one function a verb ---


def _deploy(request: Deploy, state: ServiceState, now: datetime) -> Sequence[ev.Event]:
    live = _known_live(state)
    _all_read(request.pinned, state)
    debts.no_unread(state)
    ended: list[ev.Event] = []
    if (switch := state.open_switch) is not None:
        if switch.condition is not Condition.HALTED:
            raise Refused(
                f"{switch.kind} {switch.id} of {state.service} is {switch.condition} in {switch.phase}",
                "one switch at a time: wait for its end, or end it first",
            )
        _settled(state, "deploy")
        unknown.no_deployment_under_way(state, "deploy")
        ended.append(ev.Superseded(request.switch))
    candidate = choose_candidate(request, state, now)
    base = {name: point.native for name, point in state.points.items() if name in request.pinned.plan.points}
    return (
        *ended,
        ev.Requested(
            switch_kind=Kind.DEPLOYMENT,
            candidate=candidate,
            source=live,
            version=request.version,
            artifact=request.artifact,
            plan=request.pinned.plan,
            base=base,
            config=request.pinned.config,
            config_hash=request.pinned.config_hash,
            replace_warm=request.replace_warm,
            changes=request.changes,
        ),
    )


def choose_candidate(request: Deploy, state: ServiceState, now: datetime) -> str:
    """The environment that a deployment goes to: that of the halted switch it takes over from, where it has no traffic;
    else idle first, then a warm one whose protected time is over.

    Raises Refused where none is free: what has traffic is never deployed over, what is protected only by request.
    """
    free = [name for name in request.pinned.environments if name != state.live and state.share(name) == 0]
    idle = [name for name in free if name not in state.warm]
    if idle:
        halted = state.open_switch.candidate if state.open_switch is not None else ""
        return halted if halted in idle else idle[0]
    warm = [kept for name, kept in state.warm.items() if name in free]
    expired = [kept for kept in warm if kept.protected_until <= now]
    if expired:
        return expired[0].environment
    if warm and request.replace_warm:
        if not is_said(request.reason):
            what = f"giving up {warm[0].environment}, which is kept warm for a failback, needs a reason"
            raise Refused(what, "say why: --reason TEXT")
        return warm[0].environment
    if warm:
        raise Refused(
            f"no idle environment: {warm[0].environment} is kept warm for a failback until "
            f"{warm[0].protected_until:%Y-%m-%d %H:%M:%S} UTC",
            f"wait, let it go (bluegreen release {state.service} --environment {warm[0].environment}), "
            "or deploy with --replace-warm and --reason",
        )
    carrying = ", ".join(
        f"{name} carries {percent(state.share(name))}" for name in request.pinned.environments if state.share(name)
    )
    raise Refused(
        f"no idle environment: {carrying}",
        "finish the shift (`resume`), or fail back first; a third environment would be free for the way forward",
    )


def _failback(request: Failback, state: ServiceState) -> Sequence[ev.Event]:
    if not is_said(request.reason):
        raise Refused("a failback needs a reason", "say why: --reason TEXT")
    _all_read(request.pinned, state)
    drift.no_drift(state)
    ended: list[ev.Event] = []
    target, source, version = failback_target(state)
    if request.expects not in (None, (target, state.open_switch.id if state.open_switch else "")):
        raise StateMoved("the state has moved since the plan was made", "look again before you answer")
    if state.open_switch is not None:
        ended.append(ev.FailedBack(request.switch))
    base = {name: point.native for name, point in state.points.items() if name in request.pinned.plan.points}
    return (
        *ended,
        ev.Requested(
            switch_kind=Kind.FAILBACK,
            candidate=target,
            source=source,
            version=version,
            artifact=state.releases[target].artifact if target in state.releases else None,
            plan=request.pinned.plan,
            base=base,
            config=request.pinned.config,
            config_hash=request.pinned.config_hash,
            acknowledged=request.acknowledged,
        ),
    )


def failback_target(state: ServiceState) -> tuple[str, str, str | None]:
    """Where a failback would go now, what it would leave, and the version there. Raises Refused where there is none."""
    switch = state.open_switch
    if switch is not None and switch.kind is Kind.FAILBACK:
        raise Refused(
            f"failback {switch.id} to {switch.candidate} is {switch.condition} already",
            _instead(state),
        )
    if switch is not None:
        if state.share(switch.candidate) == 0 and not _may_carry(state, switch.candidate):
            raise Refused(
                f"{switch.candidate} has no traffic: there is nothing to move back",
                "`abort` ends the switch and leaves the candidate as it is",
            )
        target, source = switch.source, switch.candidate
    else:
        warm = state.last_warm()
        if warm is None:
            raise Refused(
                f"{state.service} has no warm environment to fail back to",
                "the way on is an ordinary deployment of the version you want",
            )
        target, source = warm.environment, state.live or ""
    release = state.releases.get(target)
    return target, source, release.version if release else None


def _may_carry(state: ServiceState, environment: str) -> bool:
    return any(change.split.share(environment) > 0 for change in state.in_doubt.values())


def _resume(state: ServiceState) -> Sequence[ev.Event]:
    switch = _open(state, "resume")
    if switch.condition is Condition.RUNNING:
        raise Refused(f"{switch.id} is running already", _instead(state))
    if switch.awaiting_approval:
        raise Refused(f"{switch.id} waits for an approval, not for a resume", f"bluegreen approve {state.service}")
    drift.no_drift(state)
    unknown.known(state, "resume")
    return (ev.Resumed(),)


def _promote(state: ServiceState) -> Sequence[ev.Event]:
    switch = _open(state, "promote")
    if switch.phase is not Phase.SHIFT:
        is_over = switch.phase in (Phase.BAKE, Phase.KEEP_WARM)
        why = "the shift is over" if is_over else "nothing proves the candidate yet"
        phase = switch.phase.value.replace("_", " ")
        raise Refused(f"{switch.id} is in {phase}: only a shift can be promoted", why)
    if switch.steps[switch.index :] == switch.steps[-1:]:
        raise Refused(f"{switch.id} takes its last step already", _instead(state))
    drift.no_drift(state)
    unknown.known(state, "promote")
    return (ev.Promoted(),)


def _abort(state: ServiceState) -> Sequence[ev.Event]:
    switch = _open(state, "abort")
    if (share := state.share(switch.candidate)) > 0:
        raise Refused(
            f"{switch.candidate} has {percent(share)} of the traffic: ending the switch would not move it",
            _back_instead(state),
        )
    drift.no_order(state)
    drift.no_traffic_by_drift(state, switch.candidate)
    _settled(state, "abort")
    return (ev.Aborted(),)


def _back_instead(state: ServiceState) -> str:
    """The way back in place of an abort: where it is refused too, what comes before it."""
    switch = state.open_switch
    if switch is not None and switch.kind is Kind.FAILBACK:
        return f"it is a failback already: `resume` when what stopped it is mended; {_instead(state)}"
    back = f"to move it back: bluegreen failback {state.service}"
    try:
        drift.no_drift(state)
    except Refused as first:
        return f"{first.advice}; then, {back}"
    return back


def _accept(request: Accept, state: ServiceState) -> Sequence[ev.Event]:
    switch = _open(state, "accept")
    if switch.halt is None:
        raise Refused(f"{switch.id} is {switch.condition}: there is no failed check to accept", _instead(state))
    if not is_said(request.reason):
        raise Refused("accepting a failed check needs a reason", "say why: --reason TEXT")
    failed = {finding.check: finding for finding in switch.halt.failed()}
    known = ", ".join(sorted(name for name, finding in failed.items() if finding.acceptable)) or "none"
    ways = f"acceptable: {known}; {_instead(state)}"
    if request.check not in failed:
        raise Refused(f"{request.check} is not among the failed checks of {switch.halt.id}", ways)
    if not failed[request.check].acceptable:
        mend = failed[request.check].advice or switch.halt.advice
        what = f"{request.check} cannot be accepted: it keeps the traffic safe"
        raise Refused(what, f"{mend}; {ways}" if mend else ways)
    accepted = switch.accepted | {request.check}
    rest = [name for name in failed if name not in accepted]
    if rest:
        return (ev.CheckAccepted(request.check),)
    drift.no_drift(state)
    unknown.known(state, "accept")
    return (ev.CheckAccepted(request.check), ev.Resumed())


def _stop(request: Stop, state: ServiceState) -> Sequence[ev.Event]:
    switch = _open(state, "halt")
    if switch.condition is Condition.HALTED:
        raise Refused(f"{switch.id} is halted already", _instead(state))
    if not is_said(request.reason):
        raise Refused("a halt needs a reason", "say why: --reason TEXT")
    return (
        ev.Halted(
            halt=switch.next_halt(),
            phase=switch.phase,
            cause=Cause.OPERATOR,
            summary=f"stopped by an operator: {request.reason}",
            advice=f"when it is clear why: `resume`, or `{'failback' if state.share(switch.candidate) else 'abort'}`",
        ),
    )


def _release(request: Release, state: ServiceState) -> Sequence[ev.Event]:
    if (switch := state.open_switch) is not None:
        raise Refused(f"{switch.id} is {switch.condition}: the warm environment may yet be needed", _instead(state))
    if not state.warm:
        raise Refused(f"{state.service} has no warm environment", "there is nothing to let go")
    names = ", ".join(sorted(state.warm))
    if request.environment is None and len(state.warm) > 1:
        raise Refused(
            f"several environments are warm: {names}", f"bluegreen release {state.service} --environment NAME"
        )
    environment = request.environment or names
    if environment not in state.warm:
        raise Refused(f"{environment} is not warm", f"warm: {names}")
    return (ev.WarmReleased(environment),)


# --- what several of them ask ---


def _answers_this_halt(request: Request, state: ServiceState) -> None:
    if request.halt is None:
        return
    switch = state.open_switch
    present = switch.halt.id if switch and switch.halt else None
    if present != request.halt:
        now = f"the halt now is {present}" if present else "nothing is halted now"
        raise StateMoved(f"the answer is to halt {request.halt}; {now}", "look again before you answer")


def _open(state: ServiceState, verb: str) -> Switch:
    switch = state.open_switch
    if switch is None:
        raise Refused(f"{state.service}: no switch is under way", f"there is nothing to {verb}")
    return switch


def _known_live(state: ServiceState) -> str:
    if state.live is None:
        raise Refused(
            f"{state.service}: it is not known which environment is live",
            "every switch point must give one and the same environment all of the traffic; see `status`",
        )
    drift.no_drift(state)
    return state.live


def _all_read(pinned: Pinned, state: ServiceState) -> None:
    missing = sorted(set(pinned.plan.points) - set(state.points))
    if missing:
        raise Refused(
            f"{', '.join(missing)}: what this switch point shows is not on record yet",
            "it must be readable and agree with the others; see `status`",
        )


def _settled(state: ServiceState, verb: str) -> None:
    if state.in_doubt:
        names = ", ".join(sorted(state.in_doubt))
        raise Refused(
            f"cannot {verb}: it is not known what became of a write to {names}",
            "`resume` looks it up first; so does `failback`",
        )


def _instead(state: ServiceState) -> str:
    return f"see `bluegreen explain {state.service}` for what is lawful now"
