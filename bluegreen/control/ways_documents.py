"""The API's documents about a switch's way: what of it is done, and the ways on and back. Reads; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bluegreen.control.values import shares, time
from bluegreen.core import operations
from bluegreen.core.ahead import Moved
from bluegreen.core.state import ServiceState, Switch
from bluegreen.core.ways import Option
from bluegreen.model import Weights

Document = dict[str, Any]


def way(state: ServiceState, switch: Switch) -> list[Document]:
    """Each operation of the whole way with its outcome and what undoing it takes: see docs/api.md, Stage."""
    return [
        {
            "step": one.step,
            "what": one.what,
            "switch_point": one.point,
            "outcome": one.outcome,
            "at": time(one.at),
            "detail": one.detail,
            "undo": one.undo,
            "takes": one.takes,
        }
        for one in operations.way(state, switch)
    ]


def options(made: Iterable[Option]) -> list[Document]:
    """The ways on and back, in their order: see docs/api.md, Option."""
    return [
        {
            "verb": one.verb,
            "label": one.label or one.verb,
            "subject": one.subject,
            "lawful": one.lawful,
            "effect": one.effect,
            "moves_traffic": one.moves_traffic,
            "traffic": [_moved(row) for row in one.traffic],
            "seconds": one.seconds,
            "duration": one.duration,
            "risk": one.risk,
            "command": one.command,
            "why_not": one.why_not,
            "instead": one.instead,
        }
        for one in made
    ]


def _moved(row: Moved) -> Document:
    return {"switch_point": row.point, "now": _split(row.now), "after": _split(row.after)}


def _split(split: Weights | None) -> dict[str, float] | None:
    return shares(split) if split is not None else None
