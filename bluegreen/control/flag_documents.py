"""The parts of the API's documents about feature flags and about which artifact runs where. Reads only."""

from __future__ import annotations

from typing import Any

from bluegreen.control.values import time
from bluegreen.core.notes.flags import Act, Changed, Snapshot
from bluegreen.core.state import ServiceState
from bluegreen.flag_verbs import Shown

Document = dict[str, Any]
ACTS_MAX = 10


def flags(state: ServiceState) -> Document | None:
    """What is on record: see docs/api.md, FlagsDoc. None where no flag was ever read."""
    part = state.notes.flags
    if part.latest is None:
        return None
    return {
        "place": part.place,
        "writable": part.writable,
        "at_deploy": _snapshot(part.at_deploy()),
        "at_halt": _snapshot(part.at_halt),
        "latest": _snapshot(part.latest),
        "changed": [_changed(one) for one in part.changed_since_deploy()],
        "changed_unknown": part.change_unknown() if part.deploys else "",
        "setting": [_act(one) for one in part.setting.values()],
        "acts": [_act(one) for one in part.acts[-ACTS_MAX:]],
    }


def listed(state: ServiceState, shown: Shown, place: str, writable: bool) -> Document:
    """The flags as they are now, each with what it was when the last deployment began: see docs/api.md, FlagListDoc."""
    then = state.notes.flags.at_deploy()
    before = then.flags if then is not None and not then.error else None
    names = sorted({*shown.flags, *(before or {})}) if not shown.error else []
    return {
        "service": state.service,
        "place": place,
        "writable": writable,
        "error": shown.error,
        "flags": [
            {
                "flag": name,
                "now": shown.flags.get(name),
                "at_deploy": before.get(name) if before is not None else None,
                "changed": before is not None and before.get(name) != shown.flags.get(name),
            }
            for name in names
        ],
        "at_deploy": _snapshot(then),
        "record": flags(state),
    }


def artifact(state: ServiceState, environment: str) -> Document | None:
    """What the environment said it runs: see docs/api.md, ArtifactDoc. None where it was never asked."""
    told = state.notes.artifacts.told.get(environment)
    if told is None:
        return None
    return {
        "runs": told.runs or None,
        "given": told.given or None,
        "same": told.same,
        "at": time(told.at),
        "summary": told.summary,
        "targets": told.targets,
    }


def _snapshot(one: Snapshot | None) -> Document | None:
    return {"of": one.of, "at": time(one.at), "flags": len(one.flags), "error": one.error} if one else None


def _changed(one: Changed) -> Document:
    return {"flag": one.name, "before": one.before, "after": one.after}


def _act(one: Act) -> Document:
    return {
        "flag": one.name,
        "value": one.value,
        "before": one.before,
        "by": one.by,
        "at": time(one.at),
        "reason": one.reason,
        "outcome": one.outcome,
        "detail": one.detail,
    }
