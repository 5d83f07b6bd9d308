"""Who changed a listener or a rule, from CloudTrail's events. Pure.

An event that is late, odd or of another shape names what it can; it never raises. Our own writes are told apart by the
user agent that our calls carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bluegreen.core.state import Hand

CHANGES = frozenset(
    {
        "CreateListener", "ModifyListener", "DeleteListener", "ModifyListenerAttributes",
        "CreateRule", "ModifyRule", "DeleteRule", "SetRulePriorities",
        "CreateTargetGroup", "DeleteTargetGroup", "ModifyTargetGroup",
    }
)  # fmt: skip
"""Names of events that can change where traffic goes."""
OURS = "bluegreen"
"""Part of the user agent of every call of ours: see `aws.Sessions`."""
_TEXT_MAX = 300


def hands_of(events: Sequence[Mapping[str, Any]], since: datetime) -> tuple[Hand, ...]:
    """Who made the changes since then, oldest first; our own only where nobody else made any, and after it."""
    others, ours = [], []
    for event in events:
        if event.get("EventName") not in CHANGES:
            continue
        detail = _detail(event)
        if "errorCode" in detail:
            continue  # refused: it changed nothing
        at = event.get("EventTime")
        hand = Hand(_who(event, detail), _what(event, detail), at if isinstance(at, datetime) else None)
        if OURS not in str(detail.get("userAgent", "")):
            others.append(hand)
        elif hand.at is not None and hand.at > since:
            ours.append(hand)
    return tuple(sorted(others or ours, key=lambda hand: hand.at or since))


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        detail = json.loads(event.get("CloudTrailEvent", "{}"))
    except (TypeError, ValueError):
        return {}
    return detail if isinstance(detail, dict) else {}


def _who(event: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    identity = detail.get("userIdentity")
    known = identity if isinstance(identity, dict) else {}
    who = known.get("arn") or event.get("Username") or known.get("invokedBy") or known.get("type") or "somebody"
    return str(who)[:_TEXT_MAX]


def _what(event: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    parts = [str(event["EventName"])]
    if source := detail.get("sourceIPAddress"):
        parts.append(f"from {source}")
    if agent := detail.get("userAgent"):
        parts.append(f"by {agent}")
    return " ".join(parts)[:_TEXT_MAX]
