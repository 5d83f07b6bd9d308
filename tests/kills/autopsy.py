"""What must be true between two lives of the daemon, and what the next one must say: written once, for every harness.

* the journal opens: every entry and the whole chain are verified;
* every switch that a client was told about is in it;
* HAProxy shows what the journal says, or one of the two ends of a write that is in doubt there;
* the next daemon's document agrees with HAProxy, or says of that switch point that it is not known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from bluegreen.core.phases import fold
from bluegreen.core.state import ServiceState
from bluegreen.demo.traffic import Figures
from bluegreen.store.sqlite import SqliteStore
from tests.faults.door import Door
from tests.kills.stage import Stage

Document = dict[str, Any]


@dataclass
class Tally:
    """What was seen. `lost`, `unsaid` and `wrong` must stay empty."""

    kills: Counter[str] = field(default_factory=Counter)
    """By failpoint, or by the phase in which a random kill found the switch."""
    not_reached: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The switches that a client was told about, by the state directory."""
    entries: dict[str, int] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    """Deaths with different splits on the two switch points."""
    in_doubt: int = 0
    """Deaths with a write whose outcome was not on record."""
    lost: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    halts: list[str] = field(default_factory=list)
    """Halts that nobody needed."""
    slowest: float = 0.0
    """The longest that an orderly end took, in seconds."""

    def report(self, figures: Figures) -> str:
        """The figures, for the reader of the output."""
        points = f"{len(self.kills)} points, {self.kills.total()} kills"
        stops = f", slowest stop {self.slowest:.2f} s" if self.slowest else ""
        missed = f" ({self.not_reached.total()} not reached)" if self.not_reached else ""
        return (
            f"{points}{missed}, {self.mixed} with a mixed split, {self.in_doubt} with a write in doubt; "
            f"{sum(map(len, self.acknowledged.values()))} switches acknowledged, {len(self.lost)} lost; "
            f"{sum(self.entries.values())} entries, chain whole; {len(self.unsaid)} splits unsaid; "
            f"ends {dict(self.ends)}, {len(self.halts)} needless halts{stops}; {figures.requests} requests, "
            f"{figures.failed} failed {dict(figures.failures) or ''}, longest gap {figures.longest_gap * 1000:.0f} ms"
        )

    def nothing_is_wrong(self, figures: Figures) -> None:
        """The law, in one place."""
        assert self.lost == []
        assert self.unsaid == []
        assert self.wrong == []
        assert self.halts == []
        assert figures.failed == 0, figures.failures


async def autopsy(there: Stage, tally: Tally, what: str) -> ServiceState:
    """Between two lives. Gives what the journal adds up to; raises JournalBroken where its chain does not hold."""
    store = SqliteStore(there.state)
    await store.open("autopsy")
    entries = await store.read()
    await store.close()
    state = fold("web", tuple(entry.record for entry in entries))
    known = {entry.record.switch for entry in entries}
    tally.lost += [f"{what}: {id_}" for id_ in tally.acknowledged[there.state.name] - known]
    tally.entries[there.state.name] = len(entries)
    shown = await there.weights()
    tally.mixed += len({weights.share("green") for weights in shown.values()}) > 1
    tally.in_doubt += bool(state.in_doubt)
    for name, weights in shown.items():
        if name not in state.points:
            continue
        ends = [state.points[name].native]
        if name in state.in_doubt:
            ends += [state.in_doubt[name].expected, state.in_doubt[name].target]
        if not any(weights.same_split(one) for one in ends):
            tally.unsaid.append(f"{what}: {name} shows {weights}, on record {[str(one) for one in ends]}")
    return state


async def said(there: Stage, door: Door, tally: Tally, what: str) -> Document:
    """The document of a life that has just begun, held against HAProxy: the same, or unknown, or a write under way.

    Only what holds still is judged: HAProxy and the document are read twice. Raises Away where the life ends.
    """
    before, first = await there.weights(), await door.look()
    after, seen = await there.weights(), await door.look()
    if before != after or first["revision"] != seen["revision"]:
        return seen
    for name, weights in after.items():
        point = seen["switch_points"][name]
        shares = {one: weights.share(one) / 10 for one in weights}
        known = point["agrees"] is not None and name not in seen["unknown"] and not seen["drift"]
        if known and point["asked"] != shares and not _under_way(seen):
            tally.unsaid.append(f"{what}: HAProxy has {name} at {shares}, the document says {point}")
    return seen


def _under_way(seen: Document) -> bool:
    """Whether the document says that weights are being moved."""
    switch = seen["switch"]
    return switch is not None and (switch["condition"], switch["phase"]) == ("running", "shift")
