"""What of a switch's whole way is done, and what it would take to undo it. Pure.

Each operation of the way is one of done, not done, unknown, failed, under way; what cannot be known is called unknown,
never done or not done. What is on record decides (the operations of the switch, the shares at the switch points), not
the phase alone: a phase may be left by a halt in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from bluegreen.core.admit import failback_target
from bluegreen.core.manifest import Manifest, on_record
from bluegreen.core.state import Operation, ServiceState, Switch
from bluegreen.errors import Refused
from bluegreen.model import WHOLE, Answer, Cause, Condition, Kind, Phase, percent


class Outcome(StrEnum):
    """How an operation stands."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"
    FAILED = "failed"
    UNDER_WAY = "under way"


class Undo(StrEnum):
    """What undoing takes."""

    NOTHING = "nothing"
    ONE_WRITE = "one_write"
    BY_HAND = "by_hand"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Stage:
    """One operation of the way. `at` is when its outcome came, where it has one; `undo` is what taking it back needs,
    and `takes` says exactly what that is (empty where nothing is needed and nothing is to be said)."""

    step: str
    what: str
    outcome: Outcome
    at: datetime | None = None
    detail: str = ""
    undo: Undo = Undo.NOTHING
    takes: str = ""
    point: str | None = None


def way(state: ServiceState, switch: Switch) -> tuple[Stage, ...]:
    """The whole way of a switch, open or past, in its order."""
    return tuple(_way(state, switch))


def _way(state: ServiceState, switch: Switch) -> Iterator[Stage]:
    yield _looked(
        switch, Phase.PREFLIGHT, "preflight" if switch.kind is Kind.DEPLOYMENT else f"{switch.candidate} proven"
    )
    if switch.kind is Kind.DEPLOYMENT:
        yield _deployed(state, switch)
        yield _looked(switch, Phase.WAIT_HEALTHY, f"{switch.candidate} healthy")
        yield _looked(switch, Phase.SMOKE, "smoke")
    for share in _shares(switch):
        for point in switch.plan.points:
            yield _written(state, switch, point, share)
    yield _shifted(state, switch)
    if switch.kind is Kind.DEPLOYMENT:
        yield _baked(switch)
        yield _kept(state, switch)


def _shares(switch: Switch) -> list[int]:
    """The shares of the plan, and those that were taken before a promotion made the plan shorter."""
    taken = [one.split.share(switch.candidate) for one in switch.operations if one.split is not None]
    return sorted({*switch.steps, *taken})


# --- looks: nothing to undo ---


def _looked(switch: Switch, phase: Phase, what: str) -> Stage:
    last = _last(switch, phase)
    if switch.open is not None and switch.open.step == phase and switch.condition is Condition.RUNNING:
        return Stage(phase, what, Outcome.UNDER_WAY, switch.open.since)
    if last is None:
        return Stage(phase, what, Outcome.NOT_DONE)
    return Stage(phase, what, Outcome(last.outcome), last.at, last.detail)


# --- the deployment ---


def _deployed(state: ServiceState, switch: Switch) -> Stage:
    what, last = f"{switch.version} to {switch.candidate}", _last(switch, Phase.DEPLOY)
    outcome, at, detail = Outcome.NOT_DONE, None, ""
    if switch.open is not None and switch.open.step == Phase.DEPLOY:
        outcome, at = Outcome.UNKNOWN if switch.open.unknown else Outcome.UNDER_WAY, switch.open.since
        detail = "its process is gone; what became of it is being looked for" if switch.open.unknown else ""
    elif last is not None:
        outcome, at, detail = Outcome(last.outcome), last.at, last.detail
    if outcome is Outcome.NOT_DONE:
        return Stage(Phase.DEPLOY, what, outcome, at, detail)
    undo, takes = _undeployed(state, switch)
    return Stage(Phase.DEPLOY, what, outcome, at, detail, undo, takes)


def _undeployed(state: ServiceState, switch: Switch) -> tuple[Undo, str]:
    """The environment itself is deployed over; what else was changed is known only from what people have said."""
    place = f"{switch.candidate} is deployed over by the next deployment"
    plan, manifest = switch.plan, on_record(switch.changes)
    stays = _staying(manifest)
    if stays is not None:
        return stays
    if plan.deploy_undo:
        undo = Undo.CANNOT if plan.deploy_reversible is Answer.NO else Undo.BY_HAND
        return undo, f"the deploy command says: {_filled(plan.deploy_undo, switch)}"
    match plan.deploy_reversible:
        case Answer.YES:
            return Undo.NOTHING, f"{place}; what was there before is no longer there"
        case Answer.NO:
            return Undo.CANNOT, "the deploy command says that it cannot be taken back"
        case Answer.UNKNOWN:
            return Undo.BY_HAND, f"{place}; whether the deploy command changed anything else, nobody has said"
    assert_never(plan.deploy_reversible)


def _filled(text: str, switch: Switch) -> str:
    for name, value in (("service", switch.service), ("environment", switch.candidate), ("version", switch.version)):
        text = text.replace(f"{{{name}}}", value or "")
    return text


def _staying(manifest: Manifest) -> tuple[Undo, str] | None:
    """What stays behind of the changes that came with the release; None where nothing does, as far as it was told."""
    if manifest.unread:
        return Undo.BY_HAND, "what stays is not known: a part of its change manifest cannot be read"
    stays = [change for change in manifest.changes if change.takes_data_past or change.may_take_data_past]
    if not stays:
        return None
    told = []
    for change in stays:
        works = "cannot work with it" if change.takes_data_past else "may not be able to work with it"
        how = f"to undo it: {change.undo}" if change.undo else "nobody has said how to undo it"
        told.append(f"{change.name} stays, and the version before {works}; {how}")
    cannot = any(change.takes_data_past and not change.undo for change in stays)
    return Undo.CANNOT if cannot else Undo.BY_HAND, "; ".join(told)


# --- weights ---


def _written(state: ServiceState, switch: Switch, point: str, share: int) -> Stage:
    what = f"{point}: {switch.candidate} {percent(share)}"
    last = _last_write(switch, point, share)
    outcome, at, detail = _write_outcome(state, switch, point, share)
    if last is not None:
        at, detail = last.at, detail or last.detail.removeprefix(f"{point}: ")
    undo, takes = Undo.NOTHING, ""
    if outcome in (Outcome.DONE, Outcome.UNDER_WAY, Outcome.UNKNOWN):
        undo, takes = _moved_back(state, switch)
        takes = f"whether it was made is looked up first; if it was, {takes}" if outcome is Outcome.UNKNOWN else takes
    return Stage("set_weights", what, outcome, at, detail, undo, takes, point)


def _write_outcome(state: ServiceState, switch: Switch, point: str, share: int) -> tuple[Outcome, datetime | None, str]:
    """What is on record of one share at one switch point. Of an open switch the shares that are there now count."""
    last = _last_write(switch, point, share)
    is_now = state.open_switch is not None and state.open_switch.id == switch.id
    if is_now and (change := state.in_doubt.get(point)) is not None and change.split.share(switch.candidate) == share:
        if switch.open is not None and point in switch.open.writes:
            return Outcome.UNDER_WAY, switch.open.since, ""
        return Outcome.UNKNOWN, None, "its answer was lost: what the balancer shows is being looked at"
    if switch.base[point].share(switch.candidate) >= share:
        return Outcome.DONE, None, "it was there before"
    if is_now:
        known = state.points[point]
        if max(known.split.share(switch.candidate), known.native.share(switch.candidate)) >= share:
            return Outcome.DONE, None, ""
        if last is not None and last.outcome == "done":
            return Outcome.NOT_DONE, last.at, "it was made; another hand changed it since, and that was adopted"
    if last is None:
        return Outcome.NOT_DONE, None, ""
    return Outcome(last.outcome), last.at, last.detail.removeprefix(f"{point}: ")


def _shifted(state: ServiceState, switch: Switch) -> Stage:
    what = f"shift to {switch.candidate}"
    writes = [_last_write(switch, point, WHOLE) for point in switch.plan.points]
    there = all(
        (one is not None and one.outcome == "done") or switch.base[point].share(switch.candidate) == WHOLE
        for point, one in zip(switch.plan.points, writes, strict=True)
    )
    if switch.phase in (Phase.BAKE, Phase.KEEP_WARM) or (switch.phase is Phase.ENDED and there):
        at = max((one.at for one in writes if one is not None), default=None)
        undo, takes = _moved_back(state, switch)
        return Stage(Phase.SHIFT, what, Outcome.DONE, at, "", undo, takes)
    return _watched(switch, Phase.SHIFT, what)


def _moved_back(state: ServiceState, switch: Switch) -> tuple[Undo, str]:
    """What it takes to move the traffic back from a switch's candidate now."""
    if state.switch is None or state.switch.id != switch.id:
        return Undo.NOTHING, "another switch has moved the weights since"
    if switch.kind is Kind.FAILBACK:
        return Undo.ONE_WRITE, f"forward again is a deployment: bluegreen deploy {state.service} VERSION"
    try:
        target, _, _ = failback_target(state)
    except Refused as refusal:
        return Undo.BY_HAND, f"there is no failback: {refusal.what}"
    writes = (
        f"one write at each of {len(switch.plan.points)} switch points" if len(switch.plan.points) > 1 else "one write"
    )
    back = f"{writes} moves it back to {target}: bluegreen failback {state.service}"
    if state.drift:
        names = ", ".join(sorted(state.drift))
        return Undo.BY_HAND, f"another hand has set {names}: restore or adopt that first; then {back}"
    return Undo.ONE_WRITE, back


# --- waits ---


def _baked(switch: Switch) -> Stage:
    what = f"bake {switch.plan.bake_seconds:g} s"
    if switch.condition is Condition.COMPLETED or switch.phase is Phase.KEEP_WARM:
        return Stage(Phase.BAKE, what, Outcome.DONE)
    return _watched(switch, Phase.BAKE, what)


def _kept(state: ServiceState, switch: Switch) -> Stage:
    what = f"{switch.source} kept warm"
    if switch.condition is not Condition.COMPLETED:
        return Stage(Phase.KEEP_WARM, what, Outcome.NOT_DONE)
    let_go = "" if switch.source in state.warm else "it was let go since"
    return Stage(Phase.KEEP_WARM, what, Outcome.DONE, switch.ended_at, let_go)


def _watched(switch: Switch, phase: Phase, what: str) -> Stage:
    """A stretch that is looked at all along: under way as long as nothing is wrong."""
    seen = f"{switch.watched:g} s were watched" if switch.watched and switch.phase is phase else ""
    if switch.phase is not phase:
        return Stage(phase, what, Outcome.NOT_DONE)
    if switch.condition in (Condition.RUNNING, Condition.PAUSED):
        return Stage(phase, what, Outcome.UNDER_WAY, None, seen)
    halt, last = switch.halt, switch.operations[-1] if switch.operations else None
    if halt is not None and halt.cause is not Cause.OPERATOR and last is not None and last.step == phase:
        return Stage(phase, what, Outcome.FAILED, last.at, last.detail)
    return Stage(phase, what, Outcome.NOT_DONE, None, seen)


# --- what is on record ---


def _last(switch: Switch, step: str) -> Operation | None:
    return next((one for one in reversed(switch.operations) if one.step == step), None)


def _last_write(switch: Switch, point: str, share: int) -> Operation | None:
    """The last try of that share at that switch point."""
    for one in reversed(switch.operations):
        if one.point == point and one.split is not None and one.split.share(switch.candidate) == share:
            return one
    return None
