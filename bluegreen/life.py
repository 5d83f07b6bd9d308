"""Proof of life of the step that runs: the last thing that the world outside answered, or was asked, and when.

Nothing is called running because somebody once said so: the hands get ports that tell of every answer. It decides
nothing, and nothing of it is on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from bluegreen.core.failback_facts import Clients
from bluegreen.core.state import Hand
from bluegreen.errors import BalancerError
from bluegreen.model import Finding, Target, Weights
from bluegreen.ports import Balancer, Check, Ports, Scene


class Beat(Protocol):
    """Told what was just seen or asked; of a check what it found, too."""

    def __call__(self, what: str, finding: Finding | None = None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life: when, and what it was."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look of a check found."""

    at: datetime
    ok: bool
    summary: str


def beating(ports: Ports, beat: Beat) -> Ports:
    """Ports that tell `beat` of every question and every answer."""
    balancers: Mapping[str, Balancer] = {name: _Balancer(one, beat) for name, one in ports.balancers.items()}

    def checks(found: tuple[Check, ...]) -> tuple[Check, ...]:
        return tuple([_Check(check, beat) for check in found])

    return replace(
        ports, balancers=balancers,
        smoke=checks(ports.smoke), gates=checks(ports.gates), guards=checks(ports.guards),
        open_guard=lambda check: _Check(ports.open_guard(check), beat),
        digest=_Check(ports.digest, beat) if ports.digest is not None else None,
    )  # fmt: skip


class _Balancer:
    """ports.Balancer that tells of its answers, errors among them: who refuses is alive."""

    def __init__(self, inner: Balancer, beat: Beat) -> None:
        self._inner, self._beat = inner, beat
        self.point, self.kind, self.settle = inner.point, inner.kind, inner.settle

    def native(self, split: Weights) -> Weights:
        return self._inner.native(split)

    async def read(self) -> Weights:
        try:
            shown = await self._inner.read()
        except BalancerError as error:
            self._beat(f"{self.point} cannot be read: {error.what}")
            raise
        self._beat(f"{self.point} shows {shown}")
        return shown

    async def write(self, expected: Weights, target: Weights) -> None:
        self._beat(f"{self.point} is asked for {target}")
        await self._inner.write(expected, target)
        self._beat(f"{self.point} has taken {target}")

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        found = await self._inner.targets()
        self._beat(f"{self.point} told its targets' health")
        return found

    async def examine(self) -> tuple[Finding, ...]:
        found = await self._inner.examine()
        self._beat(f"{self.point} was examined")
        return found

    async def trace(self, since: datetime) -> tuple[Hand, ...] | None:
        return await self._inner.trace(since)

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        return await self._inner.clients(since, now)

    async def served(self) -> Mapping[str, int] | None:
        return await self._inner.served()

    async def close(self) -> None:
        await self._inner.close()


class _Check:
    """ports.Check that tells when it is asked and what it found."""

    def __init__(self, inner: Check, beat: Beat) -> None:
        self._inner, self._beat = inner, beat
        self.name, self.every = inner.name, inner.every

    async def look(self, scene: Scene) -> Finding:
        self._beat(f"check {self.name} is asked")
        finding = await self._inner.look(scene)
        self._beat(f"check {self.name}: {finding.summary}", finding)
        return finding

    async def close(self) -> None:
        await self._inner.close()
