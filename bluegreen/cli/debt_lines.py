"""What failbacks left wrong on purpose, to lines. Pure."""

from __future__ import annotations

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.words import Document, clean, clock, moment


def debt_lines(service: Document, ink: Ink) -> list[str]:
    """Each debt with who sees to it; nothing where there is none. Begins with an empty line."""
    debts = service.get("debts") or []
    if not debts:
        return []
    now = moment(service.get("as_of"))
    unknown = any(one.get("verdict") == "unknown" for one in debts)
    or_unknown = ", or nobody knows (?)" if unknown else ""
    told = ["", ink("DEBTS", "head") + f"  what a failback left wrong on purpose{or_unknown}"]
    names = max(len(one["id"]) for one in debts)
    for one in debts:
        unread = ink("?     ", "wait") if one.get("verdict") == "unknown" else ink("UNREAD", "bad")
        word = ink("read  ", "dim") if one["acknowledged"] else unread
        told += hanging(f"  {word}  {one['id']:<{names}}  ", one["what"])
        owner = f"owner {clean(one['owner'])}" if one["owner"] else ink("nobody owns it", "wait")
        told.append(f"{' ' * (names + 12)}since {clock(one['since'], now)}, by {one['switch']}; {owner}")
    if _unread(debts):
        told.append(f"  no deployment before they are read: bluegreen debts {service['service']} --acknowledge")
    if unknown:
        told.append(f'  when somebody has looked: bluegreen debts {service["service"]} --paid ID --reason "…"')
    return told


def debts_row(service: Document, ink: Ink) -> list[str]:
    """One line below the table of all services."""
    debts = service.get("debts") or []
    if not debts:
        return []
    unread = _unread(debts)
    told = f"{len(debts)} debts of a failback{f', {unread} of them unread' if unread else ''}"
    return [f"{ink(service['service'], 'wait')}  {told}: bluegreen debts {service['service']}"]


def _unread(debts: list[Document]) -> int:
    """How many hold the next deployment up: what is unknown does not."""
    return sum(not one["acknowledged"] and one.get("verdict") != "unknown" for one in debts)
