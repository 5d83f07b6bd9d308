"""A failback without a daemon: the daemon's own parts in an operator's process. There is one road.

`standalone` works on the daemon's journal, under its lock. `from_card` is for the day on which that journal cannot be
had: the same engine, on a receipt of its own, from what the card says and the balancers show.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen import cards
from bluegreen.aws import Sessions
from bluegreen.clock import SystemClock
from bluegreen.config.load import load, state_directory
from bluegreen.control import documents
from bluegreen.control.identity import user_of
from bluegreen.core import events as ev
from bluegreen.core.admit_drift import no_drift
from bluegreen.core.readiness import goals
from bluegreen.core.requests import Ask
from bluegreen.engine import ServiceEngine
from bluegreen.errors import Locked, Refused, StoreError
from bluegreen.fleet import Fleet
from bluegreen.log import set_up
from bluegreen.model import WHOLE, Cause, Condition, Weights
from bluegreen.observe import Seen
from bluegreen.parts import Parts
from bluegreen.processes import become_subreaper
from bluegreen.store import receipt
from bluegreen.store.lock import Lock, end_holder, read_holder
from bluegreen.warm import proven_by_looks
from bluegreen.watchdog import watched
from bluegreen.wiring import Bench

OBSERVE_EVERY = 15.0
BLOCKED_SECONDS = 20.0
LOOKED_UP = "What it had under way is looked up by the next failback, or the daemon."


class Standalone:
    """The same engines, for one act of an operator. `before` is done when the operator has confirmed."""

    def __init__(self, fleet: Fleet, before: Callable[[], Awaitable[None]]) -> None:
        self._fleet, self._before = fleet, before
        self._actor = user_of(os.getuid())

    async def service(self, service: str) -> dict[str, Any]:
        """The service's document, after a look at its balancers."""
        engine = self._fleet.engine(service)
        if not engine.seen:
            await engine.observe()  # what is drift is on record before a plan is made
        self._prove(engine)
        return documents.service(engine, self._fleet.clock.now())

    async def failback_plan(self, service: str) -> dict[str, Any]:
        """What a failback would do now."""
        made = await self._fleet.failback_plan(service)
        self._prove(self._fleet.engine(service))
        return documents.failback_plan(self._fleet.engine(service), made, self._fleet.clock.now())

    def must_agree(self, service: str) -> None:
        """Raises Refused where the balancers and the journal do not agree, with what can be done without a daemon."""
        engine = self._fleet.engine(service)
        try:
            no_drift(engine.state)
        except Refused as refusal:
            card = engine.card.path if engine.card else ""
            advice = f"put it right at the balancer by its own commands (they are on the card {card})"
            if engine.state.distrust:
                advice = f"go by the card, which is the newer one: bluegreen failback {service} --card {card}"
            advice = f"{advice}; `adopt` and `restore` are the daemon's: systemctl start bluegreen"
            raise Refused(f"{refusal.what}; nothing was moved", advice) from refusal

    def _prove(self, engine: ServiceEngine) -> None:
        for environment in goals(engine.state):
            engine.readiness[environment] = proven_by_looks(engine, environment, self._fleet.clock)

    async def failback(
        self, service: str, *, plan: str, reason: str, acknowledge: Collection[str] = (), confirm: str | None = None
    ) -> dict[str, Any]:
        """Do it, to its end or to a halt; gives the switch. Nothing else of the service or of others is driven on."""
        engine = self._fleet.engine(service)
        await engine.take_over()
        await self._before()
        ask = Ask(self._actor, reason)
        started = await self._fleet.failback(service, plan, ask, acknowledge=acknowledge, confirm=confirm)
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            while engine.state.open_switch is not None and engine.state.open_switch.condition is not Condition.HALTED:
                await engine.changed(engine.state.version)
            await self._kept(engine)
            await engine.stop()
        state, one = self._fleet.switch(started.id)
        document = documents.service(engine, self._fleet.clock.now())
        return dict(document["switch"]) if state.switch is one else documents.switch(one, state)

    async def _kept(self, engine: ServiceEngine) -> None:
        """At a halt that asks a person something, its evidence is kept first: nobody else is there to do it."""
        switch = engine.state.open_switch
        if switch is not None and switch.halt is not None and switch.halt.cause is not Cause.WITHOUT_DAEMON:
            await self._fleet.kept(engine.setup.service)


def end_hung_daemon(config_path: Path) -> int | None:
    """End the process that holds the journal (SIGKILL); gives its pid, None where nobody living held it.

    Traffic is not touched by that: what was under way is looked up by whoever takes over. Raises StoreError.
    """
    holder = end_holder(state_directory(config_path) / "lock")
    return holder.pid if holder else None


@contextlib.asynccontextmanager
async def standalone(config_path: Path) -> AsyncIterator[Standalone]:
    """The daemon's parts in this process. Raises ConfigError, Locked (a daemon holds the journal) or StoreError.

    A journal is the daemon's to make: a new one would know nothing of what there is to go back to.
    """
    config = load(config_path)
    if not (journal := Path(config.daemon.state.directory) / "journal.sqlite").exists():
        raise StoreError(f"there is no journal at {journal}", "was it deleted, or is its disk not mounted?")
    parts = Parts(config, in_daemon=False)
    lines = set_up("text", "error")
    become_subreaper()
    try:
        await parts.open("failback")
        with watched(config.daemon.watchdog, LOOKED_UP):
            for engine in parts.fleet.engines.values():
                engine.alone = True
            yield Standalone(parts.fleet, _nothing)
    finally:
        await parts.close()
        lines.stop()


async def _nothing() -> None: ...


# --- from the card ---


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the receipt of a failback from a card goes, and what kept it from being written."""

    store: receipt.ReceiptStore

    @property
    def path(self) -> Path:
        return self.store.path

    @property
    def error(self) -> str:
        return self.store.error


def nobody_living(directory: Path) -> None:
    """Raises Locked where a living process holds that state directory: a card from elsewhere does not pass it by."""
    holder = read_holder(directory / "lock")
    if holder is not None and holder.pid != os.getpid() and holder.is_alive():
        what = f"{directory} is in use by process {holder.pid} ({holder.role})"
        raise Locked(what, "no card is needed while it lives", holder.pid, holder.role)


@contextlib.asynccontextmanager
async def from_card(card: cards.Card, path: Path, why: str) -> AsyncIterator[tuple[Standalone, Receipt]]:
    """The engine of one service on a receipt, from what its card says. `why`: why there is no journal.

    Raises Refused where the balancers show what is not on the card, Locked where a daemon lives.
    """
    directory, clock, sessions = path.parent.parent, SystemClock(), Sessions()
    lock = Lock(directory / "lock")
    lock.acquire("failback from the card", unsigned=True)
    lines = set_up("text", "error")
    become_subreaper()
    try:
        bench = Bench(directory, sessions, lambda *_: None)
        setup = bench.restore(card.config)
        store = receipt.ReceiptStore(
            directory / receipt.DIRECTORY / f"{card.service}.{clock.now():%Y%m%dT%H%M%S}.jsonl"
        )
        keeper = cards.CardKeeper(directory, card.service, card.config, clock, journal=False)
        engine = ServiceEngine(
            setup, store, clock, bench, lambda _: None, lambda: secrets.token_hex(8), OBSERVE_EVERY, keeper
        )
        try:
            taken = _taken(card, await engine.look(), store.path.name)
            await engine.book.record([taken], Ask(user_of(os.getuid()), why))
            with watched(BLOCKED_SECONDS, LOOKED_UP):
                yield Standalone(Fleet([engine], store, clock), store.begin), Receipt(store)
        finally:
            await engine.close()
    finally:
        await sessions.close()
        lock.release()
        lines.stop()


def _taken(card: cards.Card, seen: dict[str, Seen], name: str) -> ev.CardTaken:
    """What the card and the balancers agree on. Raises Refused where they do not."""
    if card.target is None or card.source is None:
        raise Refused(f"the card has no failback: {card.why_not}", "move the weights by hand, if you must")
    shown: dict[str, Weights] = {}
    for point, one in seen.items():
        if one.weights is None:
            raise Refused(f"{point} cannot be read: {one.error}", "nothing unread is written on")
        place = card.points.get(point)
        allowed = [Weights.of(weights) for weights in place.present] if place is not None else []
        done = one.weights.share(card.target) == WHOLE
        if not done and not any(one.weights.same_split(weights) for weights in allowed):
            known = " or ".join(str(weights) for weights in allowed) or "nothing of it"
            raise Refused(
                f"{point} shows {one.weights}; the card of {card.written_at} knows {known}",
                "somebody has changed it since: look at it, and move the weights by hand if you must",
            )
        shown[point] = one.weights
    versions = {name_: version for name_, version in card.releases.items() if version is not None}
    return ev.CardTaken(name, card.digest, card.source, card.target, shown, versions)
