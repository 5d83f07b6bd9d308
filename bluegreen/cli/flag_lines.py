"""Feature flags, and which artifact runs where, to lines. Pure."""

from __future__ import annotations

from datetime import datetime

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import Document, clean, columns, when

NAMED_MAX = 12


def flag_lines(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    """What of the flags matters now: what changed since the deployment, and what is not known; nothing otherwise."""
    part = service.get("flags") or {}
    lines = []
    if part.get("changed_unknown"):
        lines += hanging(f"{ink('FLAGS', 'bad')}  ", f"what changed is unknown: {part['changed_unknown']}")
    changed = part.get("changed") or []
    for number, one in enumerate(changed[:NAMED_MAX]):
        head = f"{ink('FLAGS', 'head')}  " if number == 0 else "       "
        lines += hanging(head, f"{one['flag']} {change(one)} since the deployment began")
    if len(changed) > NAMED_MAX:
        lines.append(f"       and {len(changed) - NAMED_MAX} more: bluegreen flag {service['service']}")
    for act in part.get("setting") or []:
        lines += hanging(f"{ink('FLAG', 'bad')}   ", act_line(act, now))
    return lines


def artifact_lines(service: Document, now: datetime | None, ink: Ink) -> list[str]:
    """What each environment says it runs, where it was asked."""
    lines = []
    for one in service["environments"].values():
        told = one.get("artifact")
        if not told:
            continue
        wrong = told["same"] is False or (told["runs"] is None and told["given"])
        asked = f", {told['targets']}" if told.get("targets") else ""
        head = f"{ink('ARTIFACT', 'bad') if wrong else 'artifact'}  "
        lines += hanging(head, f"{told['summary']} (asked {when(told['at'], now)}{asked})")
    return lines


def table(document: Document, ink: Ink) -> list[str]:
    """Every flag: what it is now, and what it was when the last deployment began."""
    then = document["at_deploy"]
    known = then is not None and not then["error"]
    rows = [[ink(head, "head") for head in ("FLAG", "NOW", "AT THE DEPLOYMENT" if known else "", "")]]
    for one in document["flags"]:
        was = _value(one["at_deploy"]) if known else ""
        rows.append([clean(one["flag"]), _value(one["now"]), was, ink("changed", "wait") if one["changed"] else ""])
    return columns(rows)


def change(one: Document) -> str:
    """`off -> on`."""
    return f"{_value(one['before'])} -> {_value(one['after'])}"


def act_line(act: Document, now: datetime | None) -> str:
    """`search on -> off: set; asked for by … (4 min ago): why`."""
    outcome = act["outcome"].upper() if act["outcome"] == "unknown" else act["outcome"]
    why = f" ({clean(act['detail'])})" if act["detail"] else ""
    by = f"asked for by {act['by']} {when(act['at'], now)}: {clean(act['reason'])}"
    return f"{clean(act['flag'])} {clean(act['before'])} -> {clean(act['value'])}: {outcome}{why}; {by}"


def _value(text: str | None) -> str:
    return "(none)" if text is None else clean(text)
