"""How the traffic was really divided, as a balancer counts it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.core.failback_facts import Clients
from bluegreen.errors import Unreachable
from bluegreen.evidence.measured import NOT_MEASURED, measured
from tests.virtual import VirtualClock, run


class Counting(MemoryBalancer):
    """Gives what it was told to, one look after the other; hangs when there is no more."""

    def __init__(self, directory: Path, *looks: Mapping[str, int] | Exception | None, periods: Clients) -> None:
        super().__init__("edge", ("blue", "green"), directory / "edge.json", None)
        self._looks, self._periods, self.since = deque(looks), periods, list[datetime]()

    async def served(self) -> Mapping[str, int] | None:  # type: ignore[override]
        if not self._looks:
            await asyncio.sleep(1000)
        found = self._looks.popleft()
        if isinstance(found, Exception):
            raise found
        return found

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        assert since is not None
        self.since.append(since)
        return self._periods


@pytest.mark.parametrize(
    ("looks", "periods", "expected"),
    [
        (({"blue": 1000, "green": 10}, {"blue": 1095, "green": 15}), None,
         {"requests": {"blue": 95, "green": 5}, "percent": {"blue": 95.0, "green": 5.0}, "seconds": 1.0}),
        (({"blue": 1000, "green": 10}, {"blue": 1000, "green": 10}), None,
         {"requests": {"blue": 0, "green": 0}, "percent": None, "seconds": 1.0}),
        (({"blue": 1000, "green": 10}, {"blue": 3, "green": 11}), None,
         "not measured: its counters began anew meanwhile"),
        ((None,), {"blue": 30, "green": 10},
         {"requests": {"blue": 30, "green": 10}, "percent": {"blue": 75.0, "green": 25.0}, "seconds": 300.0}),
        ((None,), None, NOT_MEASURED),
        ((), None, "not measured: no answer within 6 s"),
        (({"blue": 1, "green": 0},), None, "not measured: no answer within 6 s"),
    ],
)  # fmt: skip
def test_what_is_counted_is_told_and_nothing_else(
    tmp_path: Path, looks: tuple[Any, ...], periods: Mapping[str, int] | None, expected: Any
) -> None:
    balancer = Counting(tmp_path, *looks, periods=Clients(requests=periods))
    assert run(measured(balancer, VirtualClock())) == expected


def test_a_balancer_that_cannot_be_asked_is_an_error_as_of_a_read(tmp_path: Path) -> None:
    balancer = Counting(tmp_path, Unreachable("no answer"), periods=Clients())
    with pytest.raises(Unreachable):
        run(measured(balancer, VirtualClock()))
