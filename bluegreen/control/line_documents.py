"""The parts of a switch's document about who has it in hand, and who was told. Reads only."""

from __future__ import annotations

from typing import Any

from bluegreen.control.values import time
from bluegreen.core.notes.line import Claim
from bluegreen.core.state import ServiceState, Switch

Document = dict[str, Any]


def claim(state: ServiceState, switch: Switch) -> Document | None:
    """Who has the present halt in hand: see docs/api.md, ClaimDoc."""
    present = state.notes.line.claim
    if switch.halt is None or present is None or present.halt != switch.halt.id:
        return None
    return {**_claim(present), "before": [_claim(one) for one in state.notes.line.before]}


def told(state: ServiceState, switch: Switch) -> Document | None:
    """What became of the last notice about the present halt: see docs/api.md, ToldDoc."""
    last = state.notes.line.notices.get(switch.halt.id) if switch.halt is not None else None
    if last is None:
        return None
    return {"times": last.times, "at": time(last.at), "told": list(last.told), "failed": dict(last.failed)}


def _claim(one: Claim) -> Document:
    return {"by": one.by, "at": time(one.at)}
