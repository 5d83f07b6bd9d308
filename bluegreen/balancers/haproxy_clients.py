"""Whether HAProxy holds clients to a side, and since when it counts, as far as its Runtime API tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bluegreen.core.failback_facts import Clients


def clients_of(rows: Sequence[Mapping[str, str]], tables: str) -> Clients:
    """From a backend's rows of `show stat`, and the answer to `show table`.

    `stick on … table T` may name any table, and the API does not say who does: only where there is none at all, and no
    server has a cookie, is nobody held.
    """
    if any(row.get("cookie") for row in rows):
        return Clients(sticky=True, why="the servers have cookies")
    names = [line.split("table:", 1)[1].split(",")[0].strip() for line in tables.splitlines() if "table:" in line]
    if names:
        return Clients(why=f"HAProxy has stick tables ({', '.join(names)}) and does not tell who uses them")
    if any("cookie" not in row for row in rows) or not rows:
        return Clients(why="this HAProxy does not tell whether its servers have cookies")
    return Clients(sticky=False)


def uptime(info: str) -> float | None:
    """Seconds since the start of the process that answers, from `show info`; None where that is not told."""
    told = [line.removeprefix("Uptime_sec:").strip() for line in info.splitlines() if line.startswith("Uptime_sec:")]
    return float(told[0]) if told and told[0].isdigit() else None
