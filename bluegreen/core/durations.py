"""How long a way takes: the medians of earlier runs, and the waits that are planned. Pure.

Only what was measured is told: a step that never ran before has no expected time, and neither has a way with such a
step. A person's approval takes as long as it takes; it is never counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bluegreen.core.state import ServiceState
from bluegreen.model import Condition, Kind

RUNS_MAX = 20
"""How many earlier runs are looked at: the last ones are most like the next one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How long something will take: `seconds` None where nobody can know; `words` for people."""

    seconds: float | None
    words: str


AT_ONCE = Expected(0.0, "at once")
OPEN_ENDED = Expected(None, "for as long as you like")


@dataclass(frozen=True, slots=True)
class Measured:
    """The medians of each kind of step, in seconds, over so many earlier runs."""

    seconds: Mapping[str, float]
    runs: int


def measured(state: ServiceState, kind: Kind) -> Measured:
    """What the last completed runs of the kind took, step by step, without their waits, pauses and halts."""
    known = [*state.past, *([state.switch] if state.switch is not None else [])]
    runs = [one for one in known if one.kind is kind and one.condition is Condition.COMPLETED][-RUNS_MAX:]
    taken: dict[str, list[float]] = {}
    for run in runs:
        for operation in run.operations:
            if operation.outcome == "done" and operation.since is not None and operation.at >= operation.since:
                taken.setdefault(operation.step, []).append((operation.at - operation.since).total_seconds())
    return Measured({step: median(seconds) for step, seconds in taken.items()}, len(runs))


def expected(
    state: ServiceState, kind: Kind, steps: Sequence[str], waits: float, *, approval: bool = False
) -> Expected:
    """How long these steps will take, one after the other, with the planned waits (seconds) between them."""
    found = measured(state, kind)
    beside = f"planned waits: {span(waits)}" if waits else ""
    beside = ", ".join(filter(None, (beside, "and a person's approval" if approval else "")))
    if not found.runs or any(step not in found.seconds for step in steps):
        return Expected(None, "unknown: no earlier run" + (f" ({beside})" if beside else ""))
    seconds = sum(found.seconds[step] for step in steps) + waits
    runs = "the last run" if found.runs == 1 else f"the last {found.runs} runs"
    return Expected(seconds, f"about {span(seconds)}, by {runs}" + (f" ({beside})" if beside else ""))


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`, `2 days`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
