"""The keeper of the way back: proves all the time that the environment which a failback would go to could take it.

What it finds stands in `engine.readiness`: a reading, not a state. Only that a failback became impossible, and possible
again, goes on record. It never moves traffic, ends no warm time and forbids no failback.

Invariants:
* never two looks of the same probe at once: one that hangs costs its own proof, which grows stale, and no other's;
* what is on record changes after two looks in a row that say the same, or where no answer came for as long as an old
  one is valid.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bluegreen.core.events import Event
from bluegreen.core.notes.warm import WarmReadinessFound, WarmReadinessLost
from bluegreen.core.readiness import PROOF_SECONDS, Proof, Readiness, Subject, goals, subjects
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import NotWritten, StoreError
from bluegreen.model import Finding
from bluegreen.observe import ANSWER_SECONDS
from bluegreen.ports import Clock
from bluegreen.warm_looks import SEEN_PART, Looked, Probe, by_balancers, probes

IN_A_ROW = 2
LOOK_SECONDS_MAX = 600.0
"""Checks and balancers keep their own deadlines; a look that takes this long is ended, and begun anew."""
REASONS_MAX = 20


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last answer of a probe. `since` is the loop's time of that answer, or of the first question. `in_row`: so
    many answers were alike; 0 before the first."""

    looked: Looked
    since: float
    valid: float = PROOF_SECONDS
    in_row: int = 0

    def is_late(self, now: float) -> bool:
        """Whether it proves nothing any more; by the loop's time: a clock that is set loses no readiness."""
        return now - self.since > self.valid


class WarmKeeper:
    """One service's: `run` is a keeper (see keepers.py)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[Subject, dict[str, _Heard]] = {}
        self._news = asyncio.Event()

    async def run(self, engine: ServiceEngine) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:  # what writes to the journal is never cut short by a change of plan
            group.create_task(self._observe(engine))
            group.create_task(self._record(engine))
            group.create_task(self._prove(engine))

    async def _prove(self, engine: ServiceEngine) -> None:
        """Prove every environment that a failback may go to, and see which these are."""
        while True:
            wanted = _wanted(engine)
            for gone in engine.readiness.keys() - {subject.environment for subject in wanted}:
                del engine.readiness[gone]
            self._heard = {subject: self._heard.get(subject, {}) for subject in wanted}
            async with asyncio.TaskGroup() as group:
                proving = [
                    group.create_task(self._repeat(engine, subject, probe))
                    for subject in wanted
                    for probe in probes(engine, subject, self._clock)
                ]
                await _until_others(engine, wanted)
                for task in proving:
                    task.cancel()

    async def _repeat(self, engine: ServiceEngine, subject: Subject, probe: Probe) -> None:
        """Look again and again. What takes long has as long a rest; what is not sure yet is looked at again soon."""
        loop, soon = asyncio.get_running_loop(), engine.ports().warm_every
        pause = min(soon, probe.every) * _spread(engine.setup.service)  # services that start together drift apart
        self._heard[subject].setdefault(probe.name, _Heard(_unproven(self._clock, probe), loop.time()))
        self._show(engine, subject)
        while True:
            began = loop.time()
            looked = await self._look(probe)
            took = loop.time() - began
            period = max(probe.every, 2 * took)
            if looked is not None:
                self._hear(subject, probe, looked, max(PROOF_SECONDS, 2 * period))
                self._show(engine, subject)
            self._news.set()
            await self._clock.sleep(pause)
            heard = self._heard[subject][probe.name]
            sure = looked is not None and heard.in_row >= IN_A_ROW
            pause = max(period - took, took) if sure else min(soon, period)

    async def _look(self, probe: Probe) -> Looked | None:
        """None: no answer, so that what was proven before grows old."""
        at = self._clock.now()
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                return await probe.look()
        except TimeoutError:
            return None
        except StoreError:
            raise  # nothing may go on unrecorded: the process ends
        except Exception as error:  # a defect in one check must not end the daemon: it proves nothing
            what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
            return Looked(at, (Finding(probe.name, ok=False, summary=what, advice="please report it"),))

    def _hear(self, subject: Subject, probe: Probe, looked: Looked, valid: float) -> None:
        last = self._heard[subject][probe.name]
        alike = last.in_row > 0 and last.looked.ok == looked.ok
        another = last.in_row == 0 or last.looked.at != looked.at  # the balancers may not have been read again
        in_row = last.in_row + int(another) if alike else 1
        self._heard[subject][probe.name] = _Heard(looked, asyncio.get_running_loop().time(), valid, in_row)

    def _show(self, engine: ServiceEngine, subject: Subject) -> None:
        proofs = [
            Proof(finding, heard.looked.at, heard.valid, looked=heard.in_row > 0)
            for heard in self._heard[subject].values()
            for finding in heard.looked.findings
        ]
        engine.readiness[subject.environment] = Readiness(subject.environment, tuple(proofs), subject)

    async def _observe(self, engine: ServiceEngine) -> None:
        """See to it that the engine's last look at the balancers is young enough."""
        while True:
            often = engine.ports().warm_every / SEEN_PART
            await self._clock.sleep(often)
            ages = [(self._clock.now() - one.at).total_seconds() for one in engine.seen.values()]
            if self._heard and not (ages and all(0 <= age <= often for age in ages)):
                with contextlib.suppress(NotWritten):  # what was seen is seen; the store's trouble is said elsewhere
                    await engine.observe(ANSWER_SECONDS)

    async def _record(self, engine: ServiceEngine) -> None:
        """Put on record that a failback became impossible, or possible again: each once."""
        while True:
            await self._news.wait()
            self._news.clear()
            for subject, heard in tuple(self._heard.items())[:1]:  # the one that a failback would go to now
                await self._note(engine, subject.environment, heard)

    async def _note(self, engine: ServiceEngine, environment: str, heard: Mapping[str, _Heard]) -> None:
        now = asyncio.get_running_loop().time()
        lost = tuple(reason for name, one in heard.items() for reason in _lost(name, one, now))[:REASONS_MAX]
        sure = all(one.looked.ok and one.in_row >= IN_A_ROW and not one.is_late(now) for one in heard.values())

        def change(state: ServiceState) -> Sequence[Event]:
            if goals(state)[:1] != (environment,):
                return ()
            if lost and not state.notes.warm.lost:
                return (WarmReadinessLost(environment, lost),)
            return (WarmReadinessFound(environment),) if sure and state.notes.warm.lost else ()

        if engine.trouble is None and change(engine.state):  # what room is left is a failback's
            with contextlib.suppress(NotWritten):  # the next look finds the same
                await engine.note(change)


def proven_by_looks(engine: ServiceEngine, environment: str, clock: Clock) -> Readiness:
    """What the last look at the balancers proves, where no keeper runs: a failback asks everything else itself."""
    looked = by_balancers(engine, environment, clock.now())
    return Readiness(environment, tuple(Proof(finding, looked.at) for finding in looked.findings))


def _wanted(engine: ServiceEngine) -> tuple[Subject, ...]:
    """By the checks that `engine.ports()` gives now."""
    switch = engine.state.open_switch
    return subjects(engine.state, switch.config_hash if switch else engine.setup.config_hash)


async def _until_others(engine: ServiceEngine, wanted: tuple[Subject, ...]) -> None:
    """Until something else is to be proven, by the journal or by a new configuration."""
    while _wanted(engine) == wanted:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(engine.ports().warm_every):
                await engine.changed(engine.state.version)


def _unproven(clock: Clock, probe: Probe) -> Looked:
    return Looked(clock.now(), (Finding(probe.name, ok=False, summary="not proven yet"),))


def _lost(name: str, heard: _Heard, now: float) -> Sequence[str]:
    """Why this one would keep a failback from going through, for certain; nothing where it may have been a flap."""
    if heard.is_late(now):
        return (f"{name}: no answer for {now - heard.since:.0f} s",)
    if heard.in_row < IN_A_ROW:
        return ()
    return [f"{finding.check}: {finding.summary}" for finding in heard.looked.findings if not finding.ok]


def _spread(service: str) -> float:
    """A part of the pace between 0.1 and 1, the same for a service each time."""
    return 0.1 + 0.9 * zlib.crc32(service.encode()) / 2**32
