"""The keeper of a service's feature flags: reads them when a deployment begins, at a halt, and while a failback is
possible; carries out what operators order, and finds out what became of an order whose answer was lost.

It moves no switch and no traffic. The intent is on record before anything is sent, by whoever admitted it; one that
another process left without an outcome is only ever looked up, never sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from bluegreen.core.notes.flags import FlagNotSet, FlagSet, FlagSetLost, FlagsSeen, news
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BalancerError, NotWritten, OutcomeUnknown
from bluegreen.model import Condition, Kind
from bluegreen.ports import Flags

TRIES = 2
TRY_AGAIN_SECONDS = 1.0
"""How often, and how far apart, a reading for a snapshot is tried: a lost call is no news."""
LOOK_EVERY = 2.0
LOOK_SECONDS = 60.0
"""How often a lost order is looked up, and for how long so; from then on as often as the flags are read."""
ROOM_SECONDS = 2.0
"""How often what happened is put on record again that found no room."""

Note = FlagsSeen | FlagSet | FlagNotSet | FlagSetLost


async def keep(engine: ServiceEngine) -> None:
    """Until cancelled. Raises what a broken journal raises, and nothing else."""
    keeper = _Keeper(engine)
    while True:
        version = engine.state.version
        wait = await keeper.round()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await engine.changed(version)


class _Keeper:
    def __init__(self, engine: ServiceEngine) -> None:
        self._engine = engine
        self._lost_since: dict[str, float] = dict.fromkeys(engine.state.notes.flags.setting, _now())
        """Orders that are looked up, and since when. What is there at the start is another process's."""
        self._looked_at: dict[str, float] = {}
        self._read_at = 0.0

    async def round(self) -> float | None:
        """All that there is to do now; the seconds until there may be more without anything happening."""
        flags = self._engine.ports().flags
        if flags is None:
            return None
        await self._snapshots(flags)
        for name in list(self._engine.state.notes.flags.setting):
            if name in self._lost_since:
                await self._look_up(flags, name)
            else:
                await self._set(flags, name)
        if _worth_reading(self._engine.state) and _now() >= self._read_at + flags.every:
            await self._see_now(flags)
        return self._next(flags)

    def _next(self, flags: Flags) -> float | None:
        due = [self._looked_at.get(name, 0.0) + self._pace(flags, name) for name in self._lost_since]
        if _worth_reading(self._engine.state):
            due.append(self._read_at + flags.every)
        return max(min(due) - _now(), 0.01) if due else None

    # --- reading ---

    async def _snapshots(self, flags: Flags) -> None:
        """One when a deployment begins, one at each halt, each of them once."""
        if (switch := _unread_deployment(self._engine.state)) is not None:
            seen = await self._read(flags, "deploy", switch)
            await self._note(lambda state: [seen] if _unread_deployment(state) == switch else [])
        if (halt := _unread_halt(self._engine.state)) is not None:
            seen = await self._read(flags, "halt", halt)
            await self._note(lambda state: [seen] if _unread_halt(state) == halt else [])

    async def _read(self, flags: Flags, when: str, of: str) -> FlagsSeen:
        error = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            shown, error = await _shown(flags)
            if shown is not None:
                self._read_at = _now()
                return FlagsSeen(when, shown, of, place=flags.place, writable=flags.writable)
        return FlagsSeen(when, {}, of, error, place=flags.place, writable=flags.writable)

    async def _see_now(self, flags: Flags) -> None:
        """Between snapshots only what differs goes on record: a change then has its time."""
        shown, error = await _shown(flags)
        self._read_at = _now()
        await self._note(lambda state: news(state.notes.flags, shown, error, flags.place, writable=flags.writable))

    # --- setting ---

    async def _set(self, flags: Flags, name: str) -> None:
        """Carry out an order: one write, read back."""
        act = self._engine.state.notes.flags.setting[name]
        try:
            await flags.write(name, act.value, act.before)
        except OutcomeUnknown as lost:
            await self._lost(name, str(lost))
            return
        except BalancerError as refusal:
            await self._note(_ended(name, FlagNotSet(name, str(refusal))))
            return
        shown, error = await _shown(flags)
        if shown is not None and shown.get(name) == act.value:
            await self._note(_ended(name, FlagSet(name, act.before, act.value)))
        else:
            await self._lost(name, f"it was taken, but {error or f'{name} shows {_said(shown, name)}'}")

    async def _lost(self, name: str, why: str) -> None:
        self._lost_since[name] = self._looked_at[name] = _now()
        await self._note(_ended(name, FlagSetLost(name, why)))

    async def _look_up(self, flags: Flags, name: str) -> None:
        """The truth once the provider tells it: a new value at once, an old one when nothing can be under way."""
        since = self._lost_since[name]
        if _now() < self._looked_at.get(name, 0.0) + self._pace(flags, name):
            return
        act = self._engine.state.notes.flags.setting[name]
        if act.outcome != "unknown":
            await self._note(_ended(name, FlagSetLost(name, "the daemon was away; it is looked up")))
        shown, _ = await _shown(flags)
        self._looked_at[name] = _now()
        if shown is None:
            return
        if shown.get(name) == act.value:
            await self._note(_ended(name, FlagSet(name, act.before, act.value, recovered=True)))
        elif _now() >= since + flags.settle:
            what = "still shows" if shown.get(name) == act.before else "now shows"
            await self._note(_ended(name, FlagNotSet(name, f"{name} {what} {_said(shown, name)}")))
        else:
            return
        del self._lost_since[name]

    def _pace(self, flags: Flags, name: str) -> float:
        return LOOK_EVERY if _now() < self._lost_since[name] + flags.settle + LOOK_SECONDS else flags.every

    async def _note(self, make: Callable[[ServiceState], Sequence[Note]]) -> None:
        """What happened goes on record, as soon as there is room."""
        while True:
            try:
                await self._engine.note(make)
                return
            except NotWritten:
                await asyncio.sleep(ROOM_SECONDS)


async def _shown(flags: Flags) -> tuple[Mapping[str, str] | None, str]:
    """What the provider shows; None where it cannot be read, and why."""
    try:
        return await flags.read(), ""
    except BalancerError as error:
        return None, str(error)


def _ended(name: str, event: Note) -> Callable[[ServiceState], Sequence[Note]]:
    return lambda state: [event] if name in state.notes.flags.setting else []


def _unread_deployment(state: ServiceState) -> str | None:
    switch = state.open_switch
    if switch is None or switch.kind is not Kind.DEPLOYMENT:
        return None
    return switch.id if state.notes.flags.at_deploy(switch.id) is None else None


def _unread_halt(state: ServiceState) -> str | None:
    switch, read = state.open_switch, state.notes.flags.at_halt
    if switch is None or switch.condition is not Condition.HALTED or switch.halt is None:
        return None
    return switch.halt.id if read is None or read.of != switch.halt.id else None


def _worth_reading(state: ServiceState) -> bool:
    """While there is something to come back from."""
    return state.open_switch is not None or bool(state.warm)


def _said(shown: Mapping[str, str] | None, name: str) -> str:
    return (shown or {}).get(name, "no value: there is no such flag")


def _now() -> float:
    return asyncio.get_running_loop().time()
