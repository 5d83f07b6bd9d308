"""A balancer whose calls are counted by operation and outcome; otherwise the one inside, unchanged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from bluegreen.core.failback_facts import Clients
from bluegreen.core.state import Hand
from bluegreen.errors import BalancerError
from bluegreen.model import Finding, Target, Weights
from bluegreen.ports import Balancer

T = TypeVar("T")

Called = Callable[[str, str, str], None]
"""Told the kind, the operation and the outcome: `ok`, or the error's name."""


class CountedBalancer:
    """ports.Balancer around another one."""

    def __init__(self, inner: Balancer, called: Called) -> None:
        self._inner, self._called = inner, called

    @property
    def point(self) -> str:
        """See ports.Balancer."""
        return self._inner.point

    @property
    def kind(self) -> str:
        """See ports.Balancer."""
        return self._inner.kind

    @property
    def settle(self) -> float:
        """See ports.Balancer."""
        return self._inner.settle

    def native(self, split: Weights) -> Weights:
        """See ports.Balancer."""
        return self._inner.native(split)

    async def read(self) -> Weights:
        """See ports.Balancer."""
        return await self._count("read", self._inner.read())

    async def write(self, expected: Weights, target: Weights) -> None:
        """See ports.Balancer."""
        await self._count("write", self._inner.write(expected, target))

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """See ports.Balancer."""
        return await self._count("targets", self._inner.targets())

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Balancer."""
        return await self._count("examine", self._inner.examine())

    async def trace(self, since: datetime) -> tuple[Hand, ...] | None:
        """See ports.Balancer."""
        return await self._count("trace", self._inner.trace(since))

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        """See ports.Balancer."""
        return await self._count("clients", self._inner.clients(since, now))

    async def served(self) -> Mapping[str, int] | None:
        """See ports.Balancer."""
        return await self._count("served", self._inner.served())

    async def close(self) -> None:
        """See ports.Balancer."""
        await self._inner.close()

    async def _count(self, operation: str, call: Awaitable[T]) -> T:
        try:
            result = await call
        except BalancerError as error:
            self._called(self.kind, operation, type(error).__name__)
            raise
        self._called(self.kind, operation, "ok")
        return result
