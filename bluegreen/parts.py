"""Everything that lives as long as a process: the journal, the engines, and what they publish to.

The daemon and an operator's failback without it are made of these same parts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from bluegreen import keepers, sd
from bluegreen.aws import Sessions
from bluegreen.cards import CardKeeper
from bluegreen.clock import SystemClock
from bluegreen.config import schema
from bluegreen.config.freeze import FreezeWindow
from bluegreen.config.notify import Notifier
from bluegreen.control.metrics import Metrics
from bluegreen.control.stream import Hub
from bluegreen.core.due import Schedule
from bluegreen.core.events import Entry
from bluegreen.core.phases import fold
from bluegreen.engine import ServiceEngine
from bluegreen.errors import ConfigError, JournalBroken
from bluegreen.evidence import identity
from bluegreen.evidence.keeper import EvidenceKeeper
from bluegreen.evidence.vault import Vault
from bluegreen.fleet import Fleet
from bluegreen.freezes import Freezes
from bluegreen.log import log_entry
from bluegreen.model import Condition, Finding
from bluegreen.notices.keeper import NoticeKeeper
from bluegreen.ports import Setup, Store, Workshop
from bluegreen.store import receipt
from bluegreen.store.sqlite import SqliteStore
from bluegreen.warm import WarmKeeper
from bluegreen.wiring import Bench, setup_of

log = structlog.get_logger(__name__)

STAYS = "a service that is no longer configured stays until its open switch has ended"

Fit = Callable[[Store, Workshop], tuple[Store, Workshop]]
"""What may be put around the journal and the ports before the engines get them: the tests' failpoints."""


def as_built(store: Store, workshop: Workshop) -> tuple[Store, Workshop]:
    """Nothing is put around them."""
    return store, workshop


class Parts:
    """Everything that lives as long as the process: the journal, the engines, and what they publish to."""

    def __init__(self, config: schema.Config, fit: Fit = as_built, *, in_daemon: bool = True) -> None:
        self.config, self._in_daemon = config, in_daemon
        self.metrics, self.hub, self.clock = Metrics(), Hub(), SystemClock()
        directory = Path(config.daemon.state.directory)
        self.store = SqliteStore(directory, self.metrics.append_seconds.observe)
        self.aws = Sessions()
        self.directory, self.cards = directory, dict[str, CardKeeper]()
        self._fitted = fit(
            self.store, Bench(directory, self.aws, self.metrics.called, lambda: self.config.daemon.notify)
        )
        engines = [self.engine(setup_of(service)) for service in config.services.values()]
        self.fleet = Fleet(engines, self.store, self.clock)

    def engine(self, setup: Setup) -> ServiceEngine:
        """An engine for a service; not started."""
        store, bench = self._fitted
        card = self.cards[setup.service] = CardKeeper(self.directory, setup.service, setup.config, self.clock)
        gathering = EvidenceKeeper(
            Vault(self.directory),
            store,
            self.clock,
            lambda config: identity.of(config, self.aws),
            self._evidence_needed,
        )
        engine = ServiceEngine(
            setup,
            store,
            self.clock,
            bench,
            self.publish,
            lambda: secrets.token_hex(8),
            self.config.daemon.observe.every,
            card,
            keepers.of(gathering, self._notices(), WarmKeeper(self.clock) if self._in_daemon else None),
        )
        engine.gathering, engine.freezes = gathering, Freezes(lambda: self._windows(setup.service))
        return engine

    def _windows(self, service: str) -> Sequence[FreezeWindow]:
        """As configured now: a freeze holds from the moment that it is read."""
        own = self.config.services.get(service)  # none: its file is gone, a switch of its is open
        return [*self.config.daemon.freeze, *(own.freeze if own else ())]

    def _notices(self) -> NoticeKeeper:
        def settings() -> tuple[Sequence[Notifier], Schedule]:
            daemon = self.config.daemon
            return daemon.notify, Schedule(tuple(daemon.escalate), daemon.claim_reminder)

        return NoticeKeeper(settings, self.clock)

    def _evidence_needed(self) -> set[str]:
        """Bundles that are not to be pruned: those of switches that are open."""
        states = [engine.state for engine in self.fleet.engines.values()]
        return {
            sealed.event.digest
            for state in states
            if (switch := state.open_switch) is not None
            for sealed in state.notes.evidence.bundles.values()
            if sealed.switch == switch.id
        }

    def publish(self, entry: Entry) -> None:
        """What is durable is told: log line, metrics, live streams, systemd's status line."""
        log_entry(entry)
        self.metrics.published(entry)
        self.hub.publish(entry)
        sd.notify(f"STATUS={self.status()}")

    def status(self) -> str:
        """One line for `systemctl status`."""
        conditions = [e.state.open_switch.condition for e in self.fleet.engines.values() if e.state.open_switch]
        halted = conditions.count(Condition.HALTED)
        told = f"{len(self.fleet.engines)} services, {len(conditions)} switches open"
        told = f"{halted} HALTED: a person is awaited; {told}" if halted else told
        return f"{self.store.trouble.summary}; {told}" if self.store.trouble else told

    def journal_ails(self, trouble: Finding | None) -> None:
        """Say that something ails the journal, or that nothing does any more."""
        if trouble is not None:
            log.error("the journal: nothing but a failback goes on", error=trouble.summary, advice=trouble.advice)
        else:
            log.info("the journal: all is well again")
        sd.notify(f"STATUS={self.status()}")

    async def open(self, role: str) -> None:
        """Lock and verify the journal, restore every service. Raises StoreError."""
        await self.store.open(role)
        for engine in self.fleet.engines.values():
            await self.restore(engine)
        for name in set(self.store.services()) - self.fleet.engines.keys():
            await self._left_open(name)
        self.metrics.watch(self.fleet)

    async def restore(self, engine: ServiceEngine) -> None:
        """Its state from the journal, and from what was done while the journal was away. Raises StoreError."""
        await engine.start()
        for path in sorted((self.directory / receipt.DIRECTORY).glob(f"{engine.setup.service}.*.jsonl")):
            try:
                await engine.book.import_receipt(receipt.read_receipt(path))
                path.replace(path.with_suffix(".imported"))
            except JournalBroken as broken:
                log.error("a receipt cannot be imported: the balancers tell what it did", error=str(broken))
                path.replace(path.with_suffix(".broken"))
        card = self.cards[engine.setup.service]
        if why := await card.newer_than(self.store):
            await engine.book.distrust(why)
        if engine.book.head is not None:
            await card.keep(engine.state, engine.book.head)

    async def _left_open(self, service: str) -> None:
        """A service whose file is gone stays while a switch of its is open, with the configuration of that switch."""
        store, bench = self._fitted
        switch = fold(service, tuple(entry.record for entry in await store.read(service))).open_switch
        if switch is None:
            return
        log.error(STAYS, service=service, switch=switch.id)
        try:
            engine = self.engine(bench.restore(switch.config))
        except ConfigError as error:
            log.error("its configuration cannot be read either: put its file back", service=service, error=str(error))
            return
        await self.restore(engine)
        self.fleet.engines[service] = engine

    async def close(self) -> None:
        """Let go of everything, the lock last."""
        await self.fleet.close()
        await self.aws.close()
        await self.store.close()
