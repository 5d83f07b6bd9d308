"""Gathers the evidence of each halt of one service, seals it, and puts that on record, within SEAL_SECONDS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from bluegreen.config.values import redacted
from bluegreen.core.notes.evidence import EvidenceSealed
from bluegreen.core.state import Halt, ServiceState, Switch
from bluegreen.engine import ServiceEngine
from bluegreen.errors import NotWritten
from bluegreen.evidence import sources
from bluegreen.evidence.vault import Vault
from bluegreen.model import Condition
from bluegreen.ports import Clock, Store

SOURCE_SECONDS = 7.0
SEAL_SECONDS = 10.0
Identity = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Under which names the daemon acts for a service, by the service's configuration."""

Beside = Callable[..., Awaitable[str]]
"""How what blocks on the disk is called."""


class EvidenceKeeper:
    """gathering.Gathering, and a keeper: see `keepers`."""

    def __init__(
        self, vault: Vault, store: Store, clock: Clock, identity: Identity, needed: Callable[[], Collection[str]],
        beside: Beside = asyncio.to_thread,
    ) -> None:  # fmt: skip
        self._vault, self._store, self._clock, self._identity, self._needed = vault, store, clock, identity, needed
        self.manifest, self.archive, self.part = vault.manifest, vault.archive, vault.part
        self._beside = beside
        self._over: set[str] = set()
        """Halts whose bundle could not even be noted: nobody is kept waiting for them."""
        self._running = False

    def gathering(self, state: ServiceState) -> str | None:
        """The halt whose evidence is being kept at this moment."""
        switch = _halted(state)
        if not self._running or switch is None or switch.halt is None:
            return None
        known = switch.halt.id in state.notes.evidence.bundles or switch.halt.id in self._over
        return None if known else switch.halt.id

    async def run(self, engine: ServiceEngine) -> None:
        """Until cancelled."""
        late = {switch.halt.id} if (switch := _halted(engine.state)) and switch.halt else set()
        self._running = True
        while True:
            version = engine.state.version
            switch = _halted(engine.state)
            if switch is not None and switch.halt is not None and self.gathering(engine.state) == switch.halt.id:
                await self._seal(engine, switch, switch.halt, late=switch.halt.id in late)
            else:
                await engine.changed(version)

    async def _seal(self, engine: ServiceEngine, switch: Switch, halt: Halt, *, late: bool) -> None:
        state = engine.state
        scene = sources.Scene(
            state, switch, halt, engine.ports(), self._store, self._clock, self._vault.directory.parent,
            engine.setup.config_hash, tuple(engine.signs),
            {name: tuple(found) for name, found in engine.recent.items()}, lambda: self._identity(switch.config),
        )  # fmt: skip
        found, missing = await _gather(sources.all_of(switch.config), scene)
        conclusions = tuple((found.get("checks-on-live") or {}).get("conclusions", ()))
        about = {
            "version": 1, "service": state.service, "switch": switch.id, "halt": halt.id, "summary": halt.summary,
            "halted_at": halt.at.isoformat(), "sealed_at": self._clock.now().isoformat(), "late": late,
            "missing": missing, "conclusions": conclusions,
        }  # fmt: skip
        digest, error, parts = "", "", [sources.part_name(name, one) for name, one in found.items()]
        try:
            digest = await self._beside(self._keep, about, found)
        except OSError as trouble:
            error = f"nothing could be kept: {trouble.strerror or trouble}"
        sealed = EvidenceSealed(halt.id, digest, tuple(parts), missing, conclusions, late, error)
        try:
            await engine.note(lambda now: [] if halt.id in now.notes.evidence.bundles else [sealed])
        except NotWritten:  # the bundle is there all the same; the journal has no room to say so
            self._over.add(halt.id)

    def _keep(self, about: Mapping[str, Any], found: Mapping[str, Any]) -> str:
        parts = dict(sources.as_part(name, one) for name, one in found.items())  # secrets are looked for in all of it
        digest = self._vault.keep(about, parts)
        self._vault.prune({digest, *self._needed()})
        return digest


def _halted(state: ServiceState) -> Switch | None:
    switch = state.open_switch
    return switch if switch is not None and switch.condition is Condition.HALTED else None


async def _gather(wanted: Mapping[str, sources.Source], scene: sources.Scene) -> tuple[dict[str, Any], dict[str, str]]:
    """Every source at once: what each gave, or why it gave nothing."""

    async def one(source: sources.Source) -> Any:
        async with asyncio.timeout(SOURCE_SECONDS):
            return await source(scene)

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_guarded(one(source))) for name, source in wanted.items()}
        _, hanging = await asyncio.wait(tasks.values(), timeout=SEAL_SECONDS - 1.0)
        for task in hanging:
            task.cancel()
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, task in tasks.items():
        if task.cancelled() or isinstance(task.result(), TimeoutError):
            missing[name] = f"gave no answer within {SOURCE_SECONDS:g} s"
        elif isinstance(task.result(), Exception):
            missing[name] = redacted(f"{type(task.result()).__name__}: {task.result()}")
        else:
            found[name] = task.result()
    return found, missing


async def _guarded(source: Awaitable[Any]) -> Any:
    """A source's answer, or what it raised: one that fails is noted, never fatal."""
    try:
        return await source
    except Exception as error:
        return error
