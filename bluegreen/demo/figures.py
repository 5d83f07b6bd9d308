"""What the demo measured: requests and failures as the clients saw them, and each step of each switch. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.cli.words import columns, moment
from bluegreen.demo.traffic import Figures
from bluegreen.model import percent

Document = dict[str, Any]

Answered = Callable[[float, float], Mapping[str, int]]
"""Good answers by version between two moments, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of weights: the share asked for, how long from the intent in the journal to the value read back, and
    the share of answers that clients then got from the receiving side until the next change."""

    asked: str
    took_ms: float
    answers: int
    seen_percent: float | None


def steps_of(events: Sequence[Document], switch: Document, version: str, answered: Answered, now: float) -> list[Step]:
    """Every step of a switch, from its events in the journal. `version` is what the receiving side answers with."""
    asked: dict[str, Document] = {}
    made: list[tuple[float, float, str]] = []
    begins: list[float] = []
    for event in events:
        if event["kind"] == "StepStarted" and event["data"]["step"] == "set_weights":
            begins.append(_epoch(event))
        if event["switch"] != switch["id"]:
            continue
        point = event["data"].get("point")
        if event["kind"] == "StepStarted" and point is not None:
            asked[point] = event
        elif event["kind"] == "WeightsSet":
            share = percent(event["data"]["split"].get(switch["candidate"], 0))
            made.append((_epoch(asked[point]), _epoch(event), share))
    steps = []
    for begin, end, share in made:
        seen = answered(end, min([at for at in begins if at > begin] + [now]))
        total = sum(seen.values())
        part = round(100 * seen.get(version, 0) / total, 1) if total else None
        steps.append(Step(share, round((end - begin) * 1000, 1), total, part))
    return steps


def steps_table(steps: Sequence[Step]) -> list[str]:
    """The steps for a person."""
    rows = [["asked", "switch took", "answers", "clients saw"]]
    for step in steps:
        seen = "-" if step.seen_percent is None else f"{step.seen_percent:g}%"
        rows.append([step.asked, f"{step.took_ms:g} ms", f"{step.answers:,}", seen])
    return columns(rows, "  ")


def summary(figures: Figures, connections: int) -> str:
    """The counts in one line."""
    answers = ", ".join(f"{version} {count:,}" for version, count in sorted(figures.answers.items()))
    failed = ", ".join(f"{count} {kind}" for kind, count in sorted(figures.failures.items()))
    return (
        f"{figures.requests:,} requests ({answers}), {figures.failed} failed{f' ({failed})' if failed else ''}, "
        f"longest gap {figures.longest_gap * 1000:.0f} ms, {figures.opened} connections opened for {connections}"
    )


def _epoch(event: Document) -> float:
    at = moment(event["at"])
    if at is None:
        raise ValueError(f"an event without a time: {event}")
    return at.timestamp()
