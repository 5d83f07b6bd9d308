"""The verbs of feature flags, as people ask for them: look at them now, and set one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bluegreen.core.flag_ways import SetFlag, admit
from bluegreen.core.notes import NoteEvent
from bluegreen.core.notes.flags import news
from bluegreen.core.requests import Ask, asked_before
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BalancerError, Refused
from bluegreen.ports import Flags

ANSWER_SECONDS = 5.0
"""How long the outcome of an order is waited for, before the answer is: under way."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The flags at this moment, or why they cannot be read."""

    flags: Mapping[str, str]
    error: str = ""


async def look(engine: ServiceEngine) -> Shown:
    """Read them now; nothing goes on record. Raises Refused where the service has none."""
    try:
        return Shown(await _provider(engine).read())
    except BalancerError as error:
        return Shown({}, str(error))


async def set_flag(
    engine: ServiceEngine, name: str, value: str, ask: Ask, expected: str | None = None, halt: str | None = None
) -> None:
    """Put the order on record, and wait a while for its outcome: the keeper of flags carries it out.

    Raises Refused, StateMoved, NotFound, and as a reading does: nothing has changed then.
    """
    provider = _provider(engine)
    if ask.key is not None and ask.key in engine.state.keys:
        asked_before(ask, engine.state)
        return
    try:
        shown = await provider.read()
    except BalancerError as error:
        what = f"the flags of {engine.state.service} cannot be read: {error.what}"
        raise type(error)(what, error.advice or f"look at {provider.place}") from error
    request = SetFlag(name, value, ask.reason, shown, provider.place, provider.writable, expected, halt)
    await engine.note(lambda state: _ordered(state, request), ask)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            await _outcome(engine, name)


def _ordered(state: ServiceState, request: SetFlag) -> Sequence[NoteEvent]:
    """The intent, after what it was made on."""
    intent = admit(request, state)
    return (*news(state.notes.flags, request.shown, "", request.place, writable=request.writable), intent)


async def _outcome(engine: ServiceEngine, name: str) -> None:
    while (act := engine.state.notes.flags.setting.get(name)) is not None and act.outcome != "unknown":
        await engine.changed(engine.state.version)


def _provider(engine: ServiceEngine) -> Flags:
    provider = engine.ports().flags
    if provider is None:
        service = engine.state.service
        raise Refused(f"{service} has no feature flags", f"say where they are: `flags:` in the file of {service}")
    return provider
