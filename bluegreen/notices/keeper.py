"""Sends what is due for one service, and puts on record who took it. No step and no person ever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from bluegreen.config.notify import Notifier
from bluegreen.config.values import redacted
from bluegreen.core.due import Due, Schedule, due, next_at
from bluegreen.core.notes.line import Notified
from bluegreen.engine import ServiceEngine
from bluegreen.errors import NotWritten
from bluegreen.notices import KINDS
from bluegreen.notices.notice import Notice, notice
from bluegreen.ports import Clock

ATTEMPTS = 3
PAUSES = (1.0, 4.0)
PATIENCE_SECONDS = 60.0
"""How often is looked whether the configuration names another notifier."""
KEPT_SECONDS = 1.0
"""How often is looked whether the evidence is kept, where the journal has no room to say so."""
BELT_SECONDS = 5.0
"""A notifier keeps its own deadline, and may then have to end what it started."""

Settings = Callable[[], tuple[Sequence[Notifier], Schedule]]
"""The configuration as it is now."""


class NoticeKeeper:
    """A keeper: see `keepers`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._told: set[tuple[str, int]] = set()
        """Not to be sent again by this process, whether the journal had room to say so or not."""

    async def run(self, engine: ServiceEngine) -> None:
        """Until cancelled."""
        while True:
            (notifiers, schedule), state = self._settings(), engine.state
            kept = engine.gathering.gathering(state) if engine.gathering is not None else None
            news = [
                one
                for one in due(state, schedule, self._clock.now())
                if (one.subject, one.times) not in self._told and one.subject != kept
            ]
            for one in news:
                await self._tell(engine, one, notifiers)
            if news:
                continue  # to tell takes its time, and more may be due by now
            seconds = next_at(state, schedule, self._clock.now()) or PATIENCE_SECONDS
            if kept is not None:  # a halt is told with its evidence: what failed on both sides, and the ways there are
                seconds = KEPT_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, PATIENCE_SECONDS)):
                    await engine.changed(engine.state.version)

    async def _tell(self, engine: ServiceEngine, one: Due, notifiers: Sequence[Notifier]) -> None:
        self._told.add((one.subject, one.times))
        asked = [notifier for notifier in notifiers if _concerns(notifier, one, engine.state.service)]
        if not asked:
            return
        said = notice(one, engine, self._clock.now())
        async with asyncio.TaskGroup() as group:
            sent = {notifier.name: group.create_task(_sent(notifier, said)) for notifier in asked}
        failed = {name: why for name, task in sent.items() if (why := task.result())}
        told = tuple(name for name in sent if name not in failed)
        with contextlib.suppress(NotWritten):
            await engine.note(lambda _: [Notified(one.subject, one.times, told, failed)])


def _concerns(notifier: Notifier, one: Due, service: str) -> bool:
    loud_enough = one.kind != "halt" or notifier.level <= one.times
    return one.kind in notifier.events and loud_enough and (not notifier.services or service in notifier.services)


async def _sent(notifier: Notifier, said: Notice) -> str:
    """Why it was not taken, after so many attempts; empty where it was."""
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSES[attempt - 1])
        try:
            async with asyncio.timeout(notifier.timeout + BELT_SECONDS):
                await KINDS[notifier.kind](notifier, said)
                return ""
        except TimeoutError:
            why = f"no answer within {notifier.timeout:g} s"
        except Exception as error:
            why = redacted(f"{type(error).__name__}: {error}")
    return why
