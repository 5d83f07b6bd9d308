"""Many histories on all cores, and their sum."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.invariants import LawBroken
from tests.simulator import history
from tests.simulator.weather import Fault
from tests.simulator.world import World

CHUNK = 250


@dataclass
class Tally:
    """The sum of many histories."""

    histories: int = 0
    switches: int = 0
    entries: int = 0
    lives: int = 0
    struck: Counter[Fault] = field(default_factory=Counter)
    crashed_at: Counter[str] = field(default_factory=Counter)
    halts: Counter[str] = field(default_factory=Counter)
    needless: Counter[str] = field(default_factory=Counter)
    runs_with_needless: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Take in another sum."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def simulate_many(histories: int, first: int, workers: int | None = None) -> Tally:
    """The histories of `histories` seeds from `first` on."""
    began, tally = time.monotonic(), Tally()
    chunks = [(seed, min(CHUNK, first + histories - seed)) for seed in range(first, first + histories, CHUNK)]
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part in pool.map(_chunk, chunks):
            tally.add(part)
    tally.seconds = time.monotonic() - began
    return tally


def _chunk(chunk: tuple[int, int]) -> Tally:
    tally, (first, count) = Tally(), chunk
    for seed in range(first, first + count):
        tally.histories += 1
        try:
            result = history.simulate(seed)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            tally.violations.append(f"seed {seed}: {told(error)}")
            continue
        tally.switches, tally.entries = tally.switches + result.switches, tally.entries + result.entries
        tally.lives += result.lives
        tally.struck += result.struck
        tally.crashed_at += result.crashed_at
        tally.halts += result.halts
        tally.needless.update(result.needless)
        tally.runs_with_needless += bool(result.needless)
    return tally


def told(error: BaseException) -> str:
    """The first error of a group, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, LawBroken) else f"{type(error).__name__}: {error}"


def report(tally: Tally) -> str:
    """The figures, for the reader of the output."""
    faults = ", ".join(f"{fault} {count}" for fault, count in tally.struck.most_common())
    lines = [
        f"{tally.histories} histories in {tally.seconds:.0f} s: {tally.switches} switches, {tally.entries} entries, "
        f"{tally.lives} lives, {sum(tally.crashed_at.values())} crashes at {len(tally.crashed_at)} failpoints",
        f"{sum(tally.struck.values())} faults: {faults}",
        f"halts: {', '.join(f'{cause} {count}' for cause, count in tally.halts.most_common())}",
        f"needless halts in {tally.runs_with_needless} histories "
        f"({100 * tally.runs_with_needless / max(tally.histories, 1):.2f} %)"
        + "".join(f"\n  {count} x {what}" for what, count in tally.needless.most_common(5)),
        f"{len(tally.violations)} violations",
    ]
    return "\n".join([*lines, *tally.violations[:20]])


def show(seed: int) -> str:
    """One history, entry by entry, with what happened to the balancers at its end."""
    worlds: list[World] = []
    try:
        end = str(history.simulate(seed, worlds.append))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        end = told(error)
    world = worlds[0]
    odds = ", ".join(f"{fault} {odds:.2f}" for fault, odds in world.weather.odds.items())
    lines = [str(world.layout), odds, *(_line(json.loads(body)) for body, _ in world.journal.rows()), *world.history]
    return "\n".join([*lines, end])


def _line(entry: dict[str, object]) -> str:
    data = entry["data"]
    assert isinstance(data, dict)
    told = {name: value for name, value in data.items() if value and name not in ("config", "plan", "base", "findings")}
    return f"{entry['seq']} {str(entry['at'])[11:23]} {entry['by']} {entry['switch']} {entry['kind']} {told}"
