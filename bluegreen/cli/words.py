"""Values to words: times, shares, aligned columns, `key=value` lines. Pure: the time comes in, text goes out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
"""One JSON object of the API."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PLAIN = re.compile(r"[^\s\"'=\\]+")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time of the API; None where there is none."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def span(seconds: float) -> str:
    """`4 min`, `22 s`, `3 d`: the largest unit that fits, rounded down."""
    whole = max(int(seconds), 0)
    size, unit = next((pair for pair in _UNITS if whole >= pair[0]), (1, "s"))
    return f"{whole // size} {unit}"


def ago(text: str | None, now: datetime | None) -> str:
    """`4 min ago`; empty where either time is not known, or where the clock was set back since: nobody knows then."""
    at = moment(text)
    if at is None or now is None or (seconds := (now - at).total_seconds()) <= -2:
        return ""
    return f"{span(seconds)} ago"


def until(text: str | None, now: datetime | None) -> str:
    """`12:00:02 UTC (in 3 h)`, and once it is over as `when`."""
    at = moment(text)
    if at is None or now is None or at <= now:
        return when(text, now)
    return f"{clock(text, now)} (in {span((at - now).total_seconds())})"


def clock(text: str | None, now: datetime | None = None) -> str:
    """The local time with its zone; with the date unless that is today."""
    at = moment(text)
    if at is None:
        return "-"
    local = at.astimezone()
    today = now is not None and now.astimezone().date() == local.date()
    return f"{local:%H:%M:%S %Z}" if today else f"{local:%Y-%m-%d %H:%M:%S %Z}"


def when(text: str | None, now: datetime | None) -> str:
    """`09:00:02 UTC (4 min ago)`."""
    relative = ago(text, now)
    return f"{clock(text, now)} ({relative})" if relative else clock(text, now)


def share(value: float | None) -> str:
    """`95.0` -> `95%`; `?` where it is not known."""
    return "?" if value is None else f"{value:g}%"


def split(weights: Mapping[str, float] | None) -> str:
    """`blue 95%  green 5%`; `?` where it is not known."""
    if weights is None:
        return "?"
    return "  ".join(f"{name} {share(value)}" for name, value in weights.items()) or "-"


def short_split(weights: Mapping[str, float] | None) -> str:
    """`blue:95,green:5`, for scripts."""
    if weights is None:
        return "?"
    return ",".join(f"{name}:{value:g}" for name, value in weights.items())


def pairs(**fields: object) -> str:
    """One `key=value` line. None is left out; what a shell would split is in JSON's double quotes."""
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows of cells as aligned lines, two spaces between columns. Colours do not count."""
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for index, cell in enumerate(row):
            widths[index] = max(widths[index], width(cell))
    return [
        (indent + "  ".join(cell + " " * (widths[at] - width(cell)) for at, cell in enumerate(row))).rstrip()
        for row in rows
    ]


def width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    return len(_ANSI.sub("", text))


def clean(text: str) -> str:
    """A foreign text on one line, without control characters: a terminal obeys those."""
    return " ".join("".join(sign if sign.isprintable() or sign.isspace() else "?" for sign in text).split())
