"""What a report on a failback is made of: lines with a verdict, and the words for times. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What a line comes to. What is not known is `unknown`, never `safe`."""

    UNSAFE = "unsafe"
    UNKNOWN = "unknown"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `id` is what an operator acknowledges it by, stable for as long as the fact is the same."""

    id: str
    verdict: Verdict
    text: str
    topic: str


def clock(at: datetime) -> str:
    """`2026-11-23 16:05:01 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """`22 s`, `13 min`, `4.5 h`, `9 days`."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
    return f"{seconds / 86400:.0f} days"


def listed(names: tuple[str, ...] | list[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
