"""The API's documents: what is on record and what was last seen, as plain JSON values. Reads; decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bluegreen.cards import CardKeeper
from bluegreen.control import (
    debts_documents,
    drift_documents,
    evidence_documents,
    flag_documents,
    lessons_documents,
    line_documents,
    warm_documents,
    ways_documents,
)
from bluegreen.control.values import shares, time
from bluegreen.core.codec import encode
from bluegreen.core.drift import why_unknown
from bluegreen.core.events import Entry
from bluegreen.core.halts import advised, options
from bluegreen.core.requests import Frozen
from bluegreen.core.state import Halt, ServiceState, Switch
from bluegreen.engine import ServiceEngine
from bluegreen.failback_plan import FailbackPlan
from bluegreen.fleet import DeploymentPlan
from bluegreen.gathering import Gathering
from bluegreen.life import Sign
from bluegreen.model import Condition, Finding, Phase, percent
from bluegreen.observe import Seen

Document = dict[str, Any]


def service(engine: ServiceEngine, now: datetime) -> Document:
    """Everything about one service: see docs/api.md, ServiceDoc."""
    state, seen = engine.state, engine.seen
    shown = {name: one.weights for name, one in seen.items()} or dict.fromkeys(engine.ports().balancers)
    lawful = _ways(engine, now)
    return {
        "service": state.service,
        "revision": state.version,
        "as_of": time(now),
        "live": state.live,
        "live_unknown": state.distrust or why_unknown(state, shown),
        "distrust": state.distrust,
        "environments": {name: _environment(name, state, seen) for name in engine.setup.environments},
        "switch_points": {name: _point(name, engine) for name in engine.ports().balancers},
        "warm": warm_documents.warm(engine, now),
        "drift": drift_documents.drifts(state),
        "restore": drift_documents.restore(state),
        "flags": flag_documents.flags(state),
        "freeze": freeze(engine, now),
        "unknown": sorted({*state.unsettled, *drift_documents.unknown(state)}),
        "journal": finding(engine.trouble) if engine.trouble else None,
        "debts": debts_documents.debts(state),
        "card": _card(engine.card) if engine.card else None,
        "lessons": lessons_documents.summary(engine),
        "switch": _present(state.switch, engine, lawful) if state.switch else None,
        "options": lawful,
    }


def switch(
    one: Switch, state: ServiceState, lawful: Sequence[Document] = (), sign: Sign | None = None,
    gathering: Gathering | None = None,
) -> Document:  # fmt: skip
    """One switch: see docs/api.md, SwitchDoc."""
    is_open = one.condition.is_open
    alive = sign if sign is not None and one.condition is Condition.RUNNING else None
    return {
        "id": one.id,
        "kind": one.kind,
        "service": one.service,
        "phase": one.phase,
        "condition": one.condition,
        "step": _step(one, state),
        "awaiting": _awaiting(one),
        "version": one.version,
        "artifact": one.artifact,
        "candidate": one.candidate,
        "source": one.source,
        "requested_by": one.requested_by,
        "reason": one.reason,
        "changes": json.loads(one.changes) if one.changes else None,
        "acknowledged": list(one.acknowledged),
        "started_at": time(one.started_at),
        "changed_at": time(one.changed_at),
        "ended_at": time(one.ended_at),
        "ended_by": one.ended_by,
        "steps": [percent(share) for share in one.steps],
        "index": one.index,
        "share": state.share(one.candidate) / 10 if is_open else None,
        "watched_seconds": one.watched,
        "wait_seconds": _wait(one),
        "halt": _halt(one.halt, state) if one.halt else None,
        "evidence": evidence_documents.of_switch(state, one.id, gathering),
        "claim": line_documents.claim(state, one),
        "told": line_documents.told(state, one),
        "accepted": sorted(one.accepted),
        "operations": [
            {"step": done.step, "outcome": done.outcome, "at": time(done.at), "detail": done.detail}
            for done in one.operations
        ],
        "way": ways_documents.way(state, one),
        "options": list(lawful) if is_open else [],
        "alive_at": time(alive.at) if alive else None,
        "alive": alive.what if alive else None,
    }


def freeze(engine: ServiceEngine, now: datetime) -> Document:
    """The freezes in force, and the one that comes within a day."""
    coming = engine.freezes.next(now)
    return {
        "active": [_frozen(one) for one in engine.freezes.active(now)],
        "next": _frozen(coming) if coming else None,
    }


def _frozen(one: Frozen) -> Document:
    return {
        "name": one.name,
        "why": one.why,
        "actions": list(one.actions),
        "since": time(one.since),
        "until": time(one.until),
    }


def _card(card: CardKeeper) -> Document:
    """The file from which a failback is possible without this journal."""
    return {"path": str(card.path), "written_at": time(card.written_at), "error": card.error}


def event(entry: Entry) -> Document:
    """One entry of the journal."""
    kind, data = encode(entry.event)
    record = entry.record
    return {
        "seq": entry.seq,
        "at": time(record.at),
        "service": record.service,
        "switch": record.switch,
        "by": record.by,
        "reason": record.reason,
        "kind": kind,
        "data": {key: value for key, value in data.items() if key != "config"},
    }


def deployment_plan(service_name: str, version: str, plan: DeploymentPlan) -> Document:
    """What a deployment would do."""
    return {
        "service": service_name,
        "version": version,
        "lawful": plan.lawful,
        "why_not": plan.why_not,
        "candidate": plan.candidate,
        "source": plan.source,
        "steps": [{"step": step, "what": what} for step, what in plan.steps],
        "findings": [finding(one) for one in plan.findings],
    }


def failback_plan(engine: ServiceEngine, plan: FailbackPlan, now: datetime) -> Document:
    """What a failback would do."""
    state, seen = engine.state, engine.seen
    warm = warm_documents.warm(engine, now)
    target = _side(plan.target, state, seen)
    if target is not None and plan.target is not None:
        is_warm = warm is not None and warm["environment"] == plan.target
        proof = warm if warm and is_warm else warm_documents.proven(engine, plan.target, now)
        keys = ("ready", "proven_at", "reasons", "proofs", "since", "protected_until")
        target.update({key: proof.get(key) for key in keys})
    return {
        "plan": plan.id,
        "service": state.service,
        "lawful": plan.lawful,
        "why_not": plan.why_not,
        "source": _side(plan.source, state, seen),
        "target": target,
        "traffic": [
            {"switch_point": name, "now": shares(weights), "after": shares(plan.after[name])}
            for name, weights in plan.now.items()
            if name in plan.after
        ],
        "steps": [percent(share) for share in plan.steps],
        **debts_documents.report(plan.report),
    }


def finding(one: Finding) -> Document:
    """What one look gave."""
    return {
        "check": one.check,
        "ok": one.ok,
        "summary": one.summary,
        "advice": one.advice,
        "acceptable": one.acceptable,
        "detail": dict(one.detail),
    }


# --- parts ---


def _environment(name: str, state: ServiceState, seen: Mapping[str, Seen]) -> Document:
    release = state.releases.get(name)
    read = bool(seen) and all(one.weights is not None for one in seen.values())  # a part is not the whole
    targets = [
        {"switch_point": point, "id": t.id, "state": t.state, "reason": t.reason, "in_flight": t.in_flight}
        for point, one in seen.items()
        for t in one.targets.get(name, ())
    ]
    weights = {point: on_record.native.share(name) / 10 for point, on_record in state.points.items()}
    return {
        "role": state.role(name),
        "release": {"version": release.version, "artifact": release.artifact, "since": time(release.since)}
        if release
        else None,
        "artifact": flag_documents.artifact(state, name),
        "weight": max(weights.values()) if weights else None,
        "weights": weights,
        "healthy": sum(one.healthy(name) for one in seen.values()) if read else None,
        "targets": len(targets) if read else None,
        "target_list": targets,
    }


def _point(name: str, engine: ServiceEngine) -> Document:
    state, one = engine.state, engine.seen.get(name)
    recorded = state.points.get(name)
    shown = one.weights if one else None
    agrees = shown.same_split(recorded.native) if shown is not None and recorded is not None else None
    return {
        "kind": engine.ports().balancers[name].kind,
        "asked": shares(recorded.split) if recorded else None,
        "shown": shares(shown) if shown is not None else None,
        "read_at": time(one.at) if one else None,
        "agrees": None if name in state.in_doubt else agrees,
        "error": one.error if one else "",
    }


def _side(name: str | None, state: ServiceState, seen: Mapping[str, Seen]) -> Document | None:
    if not name:
        return None
    shown = _environment(name, state, seen)
    release = state.releases.get(name)
    return {
        "environment": name,
        "version": release.version if release else None,
        "weight": shown["weight"],
        "healthy": shown["healthy"],
        "targets": shown["targets"],
    }


def _step(one: Switch, state: ServiceState) -> str:
    if not one.condition.is_open:
        return str(one.condition).replace("_", " ")
    words = one.phase.value.replace("_", " ")
    if one.phase is Phase.SHIFT:
        share = percent(one.steps[one.index])
        return f"shift {one.index + 1} of {len(one.steps)}: {share}"
    return words


def _awaiting(one: Switch) -> str | None:
    if one.awaiting_approval:
        return "approval"
    return "operator" if one.condition in (Condition.HALTED, Condition.PAUSED) else None


def _wait(one: Switch) -> float | None:
    if one.phase is Phase.BAKE:
        return one.plan.bake_seconds
    return one.plan.wait_seconds if one.phase is Phase.SHIFT and one.index < len(one.steps) - 1 else None


def _halt(halt: Halt, state: ServiceState) -> Document:
    return {
        "id": halt.id,
        "at": time(halt.at),
        "by": halt.by,
        "phase": halt.phase,
        "cause": halt.cause,
        "summary": halt.summary,
        "advice": advised(halt, state),
        "findings": [finding(one) for one in halt.findings],
        "output": halt.output,
        "lessons": lessons_documents.of_halt(state, halt.id),
    }


def _present(one: Switch, engine: ServiceEngine, lawful: Sequence[Document]) -> Document:
    """The switch of the service, with what only its engine knows."""
    sign = engine.signs[-1] if engine.signs else None
    return switch(one, engine.state, lawful, sign, engine.gathering)


def _ways(engine: ServiceEngine, now: datetime) -> list[Document]:
    """The ways on and back; none is offered while the evidence of the halt is being kept."""
    setup = engine.setup
    frozen = engine.freezes.active(now)
    made = options(
        engine.state, setup.environments, now, setup.deployment, setup.failback, frozen, dict(engine.readiness)
    )
    if engine.gathering is not None and engine.gathering.gathering(engine.state) is not None:
        made = tuple(replace(one, lawful=False, effect="", why_not=evidence_documents.WAIT) for one in made)
    return ways_documents.options(made)
