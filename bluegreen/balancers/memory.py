"""A balancer that moves nothing: for trying a configuration, for tests and dry runs.

Its weights live in a small file of the state directory, read at each look: so a restart is not drift, and an editor can
play "another hand". Faults are scripted: what is queued in `faults` is raised by the next calls.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bluegreen.core.failback_facts import Clients
from bluegreen.errors import BalancerError, Drifted, Rejected, Unreachable
from bluegreen.model import Finding, Target, TargetState, Weights


@dataclass(frozen=True, slots=True)
class Fault:
    """Raise `error` at the next call of `operation` (read, write or targets), `after_effect` or instead of it."""

    operation: str
    error: BalancerError
    after_effect: bool = False


class MemoryBalancer:
    """ports.Balancer. `faults`, `set_weights` and `set_targets` are for whoever plays the rest of the world."""

    kind = "memory"
    settle = 0.0

    def __init__(self, point: str, environments: tuple[str, ...], file: Path, start: Mapping[str, int] | None) -> None:
        self.point = point
        self.faults: deque[Fault] = deque()
        self.writes: list[Weights] = []
        self._environments, self._file = environments, file
        self._start = Weights.of(start or {name: 100 * (i == 0) for i, name in enumerate(environments)})
        self._targets: dict[str, tuple[Target, ...]] = {
            name: (Target(name, TargetState.HEALTHY, in_flight=0),) for name in environments
        }

    def native(self, split: Weights) -> Weights:
        """See ports.Balancer. Tenths of a percent are its own numbers."""
        return self._every(split)

    async def read(self) -> Weights:
        """See ports.Balancer."""
        self._fail("read", after_effect=False)
        shown = self._stored()
        self._fail("read", after_effect=True)
        return shown

    async def write(self, expected: Weights, target: Weights) -> None:
        """See ports.Balancer."""
        self._fail("write", after_effect=False)
        target = self._every(target)
        shown = self._stored()
        if not shown.same_split(expected):
            raise Drifted(f"{self.point} shows {shown}, expected was {expected}", expected, shown)
        self._store(target)
        self.writes.append(target)
        self._fail("write", after_effect=True)

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """See ports.Balancer. One healthy target an environment, unless `set_targets` said otherwise."""
        self._fail("targets", after_effect=False)
        return dict(self._targets)

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Balancer."""
        try:
            shown = await self.read()
        except BalancerError as error:
            return (Finding(f"{self.point}: reachable", ok=False, summary=error.what, advice=error.advice),)
        return (Finding(f"{self.point}: reachable", ok=True, summary=f"in memory: {shown}"),)

    async def trace(self, since: datetime) -> None:
        """See ports.Balancer. Nobody keeps a record of who changed it."""

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        """See ports.Balancer. It has no clients; nobody counts."""
        return Clients(sticky=False)

    async def served(self) -> None:
        """See ports.Balancer."""

    async def close(self) -> None:
        """See ports.Balancer."""

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Change the weights by another hand."""
        self._store(Weights.of(weights))

    def set_targets(self, environment: str, targets: tuple[Target, ...]) -> None:
        """Change what an environment's targets look like."""
        self._targets[environment] = targets

    def _every(self, weights: Weights) -> Weights:
        """With a number for every environment, and for no other. Raises Rejected."""
        if unknown := set(weights) - set(self._environments):
            raise Rejected(f"{self.point} has no environment {', '.join(sorted(unknown))}")
        if not weights.total:
            raise Rejected(f"{self.point}: no environment would get traffic")
        return Weights.of({name: weights.get(name, 0) for name in self._environments})

    def _stored(self) -> Weights:
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            return Weights.of({name: int(document.get(name, 0)) for name in self._environments})
        except FileNotFoundError:
            return self._start
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise Unreachable(f"{self._file} cannot be read: {error}", "mend it, or remove it to begin anew") from error

    def _store(self, weights: Weights) -> None:
        new = self._file.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(dict(weights), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        except OSError as error:
            raise Unreachable(f"{self._file} cannot be written: {error.strerror}", "look at the disk") from error

    def _fail(self, operation: str, *, after_effect: bool) -> None:
        if self.faults and (self.faults[0].operation, self.faults[0].after_effect) == (operation, after_effect):
            raise self.faults.popleft().error
