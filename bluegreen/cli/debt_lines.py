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
    told = ["", ink("DEBTS", "head") + "  what a failback left wrong on purpose"]
    names = max(len(one["id"]) for one in debts)
    for one in debts:
        word = ink("read  ", "dim") if one["acknowledged"] else ink("UNREAD", "bad")
        told += hanging(f"  {word}  {one['id']:<{names}}  ", one["what"])
        owner = f"owner {clean(one['owner'])}" if one["owner"] else ink("nobody owns it", "wait")
        told.append(f"{' ' * (names + 12)}since {clock(one['since'], now)}, by {one['switch']}; {owner}")
    if any(not one["acknowledged"] for one in debts):
        told.append(f"  no deployment before they are read: bluegreen debts {service['service']} --acknowledge")
    return told


def debts_row(service: Document, ink: Ink) -> list[str]:
    """One line below the table of all services."""
    debts = service.get("debts") or []
    if not debts:
        return []
    unread = sum(not one["acknowledged"] for one in debts)
    told = f"{len(debts)} debts of a failback{f', {unread} of them unread' if unread else ''}"
    return [f"{ink(service['service'], 'wait')}  {told}: bluegreen debts {service['service']}"]
