"""Named failpoints: one before and one after every call that crosses to the journal, a balancer, a deployer or a check.

The product has none of this: the wrappers are put around its ports by the build that is tested, the simulator or the
daemon of `tests.faults.daemon`. A name says the same thing in both:

    journal.StepStarted:set_weights.before     the intent is not durable yet
    journal.StepStarted:set_weights.after      it is, and nothing was sent
    balancer.write.before / .after             not sent / the balancer has it, and nobody was told
    deployer.deploy.before / .after            check.look.before / .after     balancer.read, balancer.targets, ...

An append of several entries is named by its last one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bluegreen.core import codec
from bluegreen.core import events as ev
from bluegreen.core.events import Entry, Record
from bluegreen.ports import Balancer, Check, Deployer, Ports, Setup, Store, Workshop

T = TypeVar("T")
Reached = Callable[[str], Awaitable[None]]
"""Told the name of every failpoint that is passed; what it raises is what happens there."""

STEPS = ("preflight", "deploy", "wait_healthy", "smoke", "shift", "set_weights")
CALLS = (
    "balancer.read", "balancer.write", "balancer.targets", "balancer.examine",
    "balancer.trace", "balancer.clients", "balancer.served",
    "deployer.deploy", "deployer.find", "deployer.examine", "check.look",
)  # fmt: skip
EDGES = ("before", "after")


def journal_point(event: ev.Event) -> str:
    """`journal.WeightsSet`, `journal.StepStarted:deploy`."""
    kind = codec.encode(event)[0]
    return f"journal.{kind}:{event.step}" if isinstance(event, ev.StepStarted) else f"journal.{kind}"


POINTS = tuple(
    f"{place}.{edge}"
    for place in (
        *(f"journal.{kind}" for kind in codec.KINDS if kind != "StepStarted"),
        *(f"journal.StepStarted:{step}" for step in STEPS),
        *CALLS,
    )
    for edge in EDGES
)
"""Every failpoint there is."""


class PointedStore:
    """ports.Store with a failpoint before and after each append."""

    def __init__(self, store: Store, reached: Reached) -> None:
        self._store, self._reached = store, reached

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        """See ports.Store."""
        point = journal_point(records[-1].event)
        await self._reached(f"{point}.before")
        entries = await self._store.append(service, expected, records)
        await self._reached(f"{point}.after")
        return entries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Pointed:
    """A port with a failpoint before and after each of the named calls; everything else is its own."""

    def __init__(self, room: str, port: object, calls: tuple[str, ...], reached: Reached) -> None:
        self._room, self._port, self._calls, self._reached = room, port, calls, reached

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        return self._around(name, value) if name in self._calls else value

    def _around(self, name: str, call: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        async def pointed(*args: Any, **named: Any) -> T:
            await self._reached(f"{self._room}.{name}.before")
            answer = await call(*args, **named)
            await self._reached(f"{self._room}.{name}.after")
            return answer

        return pointed


def pointed(ports: Ports, reached: Reached) -> Ports:
    """The ports with every failpoint in them."""

    def around(room: str, port: Any) -> Any:
        calls = tuple(call.partition(".")[2] for call in CALLS if call.startswith(f"{room}."))
        return _Pointed(room, port, calls, reached)

    balancers: Mapping[str, Balancer] = {n: around("balancer", one) for n, one in ports.balancers.items()}
    deployer: Deployer = around("deployer", ports.deployer)

    def checks(found: tuple[Check, ...]) -> tuple[Check, ...]:
        return tuple([around("check", one) for one in found])

    return replace(
        ports, balancers=balancers, deployer=deployer,
        smoke=checks(ports.smoke), gates=checks(ports.gates), guards=checks(ports.guards),
        digest=around("check", ports.digest) if ports.digest is not None else None,
    )  # fmt: skip


class PointedWorkshop:
    """ports.Workshop whose ports have failpoints."""

    def __init__(self, workshop: Workshop, reached: Reached) -> None:
        self._workshop, self._reached = workshop, reached

    def restore(self, config: str) -> Setup:
        """See ports.Workshop."""
        return self._workshop.restore(config)

    def open(self, setup: Setup) -> Ports:
        """See ports.Workshop."""
        return pointed(self._workshop.open(setup), self._reached)
