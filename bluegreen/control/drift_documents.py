"""The parts of a service's document about drift: what is shown, who did it, what an operator said. Reads only."""

from __future__ import annotations

from typing import Any

from bluegreen.control.values import shares, time
from bluegreen.core.state import Drift, ServiceState, Word

Document = dict[str, Any]


def drifts(state: ServiceState) -> list[Document]:
    """Every switch point that shows something else than the journal says: see docs/api.md, DriftDoc."""
    return [_drift(drift) for drift in state.drift.values()]


def restore(state: ServiceState) -> Document | None:
    """The order to restore that has not ended: see docs/api.md, RestoreDoc."""
    order = state.restore
    if order is None:
        return None
    return {
        **_word(order.word),
        "pending": sorted(order.shown),
        "writing": order.writing.point if order.writing is not None else None,
        "unknown": sorted(unknown(state)),
    }


def unknown(state: ServiceState) -> set[str]:
    """Switch points with a restoring write whose outcome is unknown."""
    order = state.restore
    if order is None:
        return set()
    lost = {order.writing.point} if order.writing is not None and order.writing.lost else set()
    return {*order.unread, *lost}


def _drift(drift: Drift) -> Document:
    return {
        "id": drift.id,
        "switch_point": drift.point,
        "expected": shares(drift.expected),
        "shown": None if drift.what else shares(drift.seen),
        "what": drift.what,
        "since": time(drift.at),
        "last_good": time(drift.good_at),
        "hands": [{"who": hand.who, "what": hand.what, "at": time(hand.at)} for hand in drift.hands],
        "left": _word(drift.left) if drift.left else None,
        "refused": drift.refused,
    }


def _word(word: Word) -> Document:
    return {"by": word.by, "at": time(word.at), "reason": word.reason}
