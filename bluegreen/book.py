"""One service's journal and the state that it adds up to: apply, append, publish, keep the card; in this order.

The journal is the state: `state` is its fold. Nothing is believed before it is durable, nothing is told before it is
believed. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bluegreen.config.values import redacted
from bluegreen.core import events as ev
from bluegreen.core import receipts
from bluegreen.core.phases import apply
from bluegreen.core.requests import Ask
from bluegreen.core.state import ServiceState
from bluegreen.errors import AppendUnknown, StoreError
from bluegreen.jumps import Jumps
from bluegreen.model import DAEMON
from bluegreen.ports import Clock, Publish, Store
from bluegreen.redaction import clean

Keep = Callable[[ServiceState, ev.Entry], Awaitable[None]]
"""Told of each append, before anything is done on it: keeps the service's card current."""


Note = Callable[[ev.Entry | None], None]
"""Told of each entry once it is believed; of None where it is not known what the journal holds."""


async def keep_nothing(state: ServiceState, head: ev.Entry) -> None:
    """Where no card is kept."""


class Book:
    """`record` is for one writer at a time: the engine's lock sees to that."""

    def __init__(
        self, service: str, store: Store, clock: Clock, publish: Publish, new_id: Callable[[], str], keep: Keep,
        note: Note,
    ) -> None:  # fmt: skip
        self.state = ServiceState(service)
        self.head: ev.Entry | None = None
        """The last entry."""
        self.jumps = Jumps(clock)
        self.fatal: StoreError | None = None
        """Why the process has to end: what is in the journal is not known."""
        self.owed: list[ev.Event] = []
        """What happened and found no room in the journal: it comes before anything else."""
        self._store, self._clock, self._publish, self._keep, self._note = store, clock, publish, keep, note
        self._new_id = new_id
        self._changed = asyncio.Condition()

    async def restore(self) -> None:
        """Fold the journal."""
        for entry in await self._store.read(self.state.service):
            self.state, self.head = apply(self.state, entry.record), entry

    async def record(
        self, events: Sequence[ev.Event], ask: Ask | None = None, switch: str | None = None
    ) -> tuple[ev.Entry, ...]:
        """Make records of events and take them in. `switch` is the id of one that begins; `ask` is None for the
        daemon's own events. Raises IllegalTransition before anything is written, and what the store raises."""
        ask = ask or Ask(DAEMON)
        state, records = self.state, []
        for event in (*self.jumps.seen(), *events):
            id_ = switch if isinstance(event, ev.Requested) else (state.open_switch.id if state.open_switch else None)
            record = ev.Record(
                id=self._new_id(), at=self._clock.now(), service=state.service, switch=id_, by=str(ask.actor),
                event=clean(event), reason=redacted(ask.reason), key=ask.key, key_digest=ask.digest,
            )  # fmt: skip
            state = apply(state, record)
            records.append(record)
        return await self._durable(records, state)

    async def owe(self, event: ev.Event) -> None:
        """A fact goes on record, now or as soon as there is room. Raises NotWritten; it stays owed then."""
        self.owed.append(event)
        await self.settle()

    async def settle(self) -> None:
        """What happened goes on record before anything is decided on it. Raises NotWritten."""
        if self.owed:
            await self.record(self.owed)
            self.owed = []

    async def take_in(self, records: Sequence[ev.Record]) -> tuple[ev.Entry, ...]:
        """Take in records that others made. Raises IllegalTransition before anything is written."""
        state = self.state
        for record in records:
            state = apply(state, record)
        return await self._durable(records, state)

    async def _durable(self, records: Sequence[ev.Record], state: ServiceState) -> tuple[ev.Entry, ...]:
        """Append, publish, keep the card. `state` is what they add up to."""
        try:
            entries = await self._store.append(self.state.service, self.state.version, records)
        except AppendUnknown as unknown:
            self.fatal = unknown
            self._note(None)
            raise
        self.state, self.head = state, entries[-1]
        for entry in entries:
            if isinstance(entry.event, ev.ClockMoved):
                self.jumps.recorded(entry.event)
            self._note(entry)
            self._publish(entry)
        await self._keep(state, entries[-1])
        async with self._changed:
            self._changed.notify_all()
        return entries

    async def import_receipt(self, entries: Sequence[ev.Entry]) -> None:
        """Take in a failback that was done from the card; it stays halted until a person has looked."""
        records = receipts.to_import(self.state, [entry.record for entry in entries], self._beside)
        if records:
            await self.take_in(records)

    async def distrust(self, why: str) -> None:
        """Say that the journal is not to be believed: nothing moves until an operator has looked and adopted."""
        if not self.state.distrust:
            await self.record(receipts.distrusted(self.state, why))

    def _beside(self, switch: str, event: ev.Event, by: ev.Record) -> ev.Record:
        """A record of ours beside those of a receipt: what ends a switch is on the word of the receipt's operator."""
        ours = isinstance(event, ev.Halted | ev.Restarted)
        who, why = (DAEMON.name, "") if ours else (by.by, by.reason)
        return ev.Record(self._new_id(), self._clock.now(), self.state.service, switch, who, event, why)

    async def changed(self, version: int) -> None:
        """Wait until the state is newer than `version`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.version > version)
