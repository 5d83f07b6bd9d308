"""The API's documents on the way back: the warm environment's proofs, and whether a failback is possible now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bluegreen.control.values import time
from bluegreen.core import admit as ad
from bluegreen.core.readiness import Proof, Readiness, goals
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import Refused

Document = dict[str, Any]


def warm(engine: ServiceEngine, now: datetime) -> Document | None:
    """The environment that is kept warm, with what was proven of it; None where none is."""
    kept = engine.state.last_warm()
    if kept is None:
        return None
    return {
        "environment": kept.environment,
        **proven(engine, kept.environment, now),
        "since": time(kept.since),
        "protected_until": time(kept.protected_until),
    }


def proven(engine: ServiceEngine, environment: str, now: datetime) -> Document:
    """Whether an environment could take the traffic, by its proofs."""
    readiness = engine.readiness.get(environment) or Readiness(environment)
    return {
        "ready": readiness.ready(now),
        "proven_at": time(readiness.proven_at),
        "reasons": list(readiness.reasons(now)),
        "proofs": [_proof(proof, now) for proof in readiness.proofs],
    }


def ready(engine: ServiceEngine, now: datetime) -> Document:
    """Whether a failback is possible right now: lawful, and every proof good and fresh."""
    state, why_not = engine.state, ""
    environment = next(iter(goals(state)), None)
    pinned = ad.Pinned(engine.setup.failback, engine.setup.environments, "", "")
    try:
        ad.admit(ad.Failback(switch="?", pinned=pinned, reason="."), state, now)
    except Refused as refusal:
        why_not = str(refusal)
    found = proven(engine, environment, now) if environment else _nothing()
    lost = state.notes.warm
    return {
        "service": state.service,
        "as_of": time(now),
        "environment": environment,
        "version": _version(state, environment),
        **found,
        "ready": found["ready"] and not why_not,
        "reasons": [*([why_not] if why_not else []), *found["reasons"]],
        "lawful": not why_not,
        "lost_since": time(lost.since),
    }


def proof_age(engine: ServiceEngine, now: datetime) -> float | None:
    """Seconds since the oldest proof of what a failback would go to; None where nothing was proven."""
    readiness = engine.readiness.get(next(iter(goals(engine.state)), ""))
    return max((max(proof.age(now), 0.0) for proof in readiness.proofs), default=None) if readiness else None


def _nothing() -> Document:
    return {"ready": False, "proven_at": None, "reasons": [], "proofs": []}


def _version(state: ServiceState, environment: str | None) -> str | None:
    release = state.releases.get(environment or "")
    return release.version if release else None


def _proof(proof: Proof, now: datetime) -> Document:
    return {
        "check": proof.finding.check,
        "ok": proof.finding.ok,
        "fresh": proof.is_fresh(now),
        "proven": proof.finding.proven,
        "summary": proof.finding.summary,
        "advice": proof.finding.advice,
        "proven_at": time(proof.at),
        "age_seconds": round(max(proof.age(now), 0.0), 1),
        "valid_seconds": proof.valid_seconds,
    }
