"""A service's drifts to lines: before, after, when, who, and what an operator said. Pure."""

from __future__ import annotations

from datetime import datetime

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import Document, clean, moment, split, when


def alarming(service: Document) -> list[Document]:
    """The drifts that nobody has left as they are."""
    return [drift for drift in service.get("drift") or [] if not drift.get("left")]


def meant(service: Document) -> list[Document]:
    """The drifts that an answer is about: those that nobody has left as they are; else all."""
    return alarming(service) or list(service.get("drift") or [])


def shows(drift: Document) -> str:
    """`shows blue 70%  green 30%`, or what is said in place of weights."""
    return clean(drift.get("what") or "") or f"shows {split(drift['shown'])}"


def drift_lines(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    """All of it, a few lines a switch point; then what is being restored, and what is unknown."""
    lines = []
    for drift in service.get("drift") or []:
        lines += _drift(drift, now, ink)
    order = service.get("restore")
    if order and order["pending"]:
        by = f"being restored, as {order['by']} ordered {when(order['at'], now)}: {clean(order['reason'])}"
        lines += hanging("RESTORE  ", f"{', '.join(order['pending'])}: {by}")
    for name in service.get("unknown") or []:
        lines.append(f"{ink('UNKNOWN', 'bad')}  a write to {name} was sent; whether it was made is not known yet")
    return lines


def since_then(service: Document, halt: Document, now: datetime | None, ink: Ink) -> list[str]:
    """What another hand has changed, where the halt does not say so itself: a line a switch point. All of it is told
    with the traffic."""
    lines, stopped = [], moment(halt["at"])
    for drift in service.get("drift") or []:
        if halt["cause"] == "drift" and (stopped is None or (moment(drift["since"]) or stopped) <= stopped):
            continue
        what = f"another hand has changed {drift['switch_point']}: it {shows(drift)}, not {split(drift['expected'])}"
        lines += hanging(f"  {ink('DRIFT', 'bad')}  ", f"{what}; seen {when(drift['since'], now)}")
    return lines


def _drift(drift: Document, now: datetime | None, ink: Ink) -> list[str]:
    left = drift.get("left")
    head = "LEFT   " if left else f"{ink('DRIFT', 'bad')}  "
    good = f" (last as it should be {when(drift['last_good'], now)})" if drift.get("last_good") else ""
    what = f"{drift['switch_point']} {shows(drift)}; the journal says {split(drift['expected'])}"
    lines = hanging(head, f"{what}; since {when(drift['since'], now)}{good}")
    if left:
        lines += hanging("       ", f"left as it is by {left['by']} {when(left['at'], now)}: {clean(left['reason'])}")
    for hand in drift.get("hands") or []:
        at = f" {when(hand['at'], now)}" if hand.get("at") else ""
        who = f"changed by {hand['who']}: {hand['what']}{at}" if hand["who"] else f"who did it: {hand['what']}"
        lines += hanging("       ", who)
    if drift.get("refused"):
        lines += hanging(f"       {ink('not restored:', 'bad')} ", drift["refused"])
    return lines
