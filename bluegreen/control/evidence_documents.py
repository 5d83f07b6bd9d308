"""The parts of a service's document about evidence. Reads only."""

from __future__ import annotations

from typing import Any

from bluegreen.control.values import time
from bluegreen.core.notes.evidence import Sealed
from bluegreen.core.state import ServiceState
from bluegreen.gathering import Gathering

Document = dict[str, Any]

WAIT = "the evidence of this halt is being kept; that takes seconds"


def of_switch(state: ServiceState, switch: str, gathering: Gathering | None) -> Document | None:
    """The bundle of the switch's last halt: see docs/api.md, EvidenceDoc; None where there is none."""
    present = gathering.gathering(state) if gathering is not None else None
    if present is not None and state.switch is not None and state.switch.id == switch:
        return {"state": "gathering", "halt": present}
    halts = state.notes.evidence.of_switch(switch)
    return sealed(state.notes.evidence.bundles[halts[-1]]) if halts else None


def sealed(one: Sealed) -> Document:
    """What the journal says of a bundle."""
    return {
        "state": "sealed" if one.event.digest else "lost",
        "halt": one.event.halt,
        "at": time(one.at),
        "digest": one.event.digest,
        "parts": list(one.event.parts),
        "missing": dict(one.event.missing),
        "conclusions": list(one.event.conclusions),
        "late": one.event.late,
        "error": one.event.error,
    }
