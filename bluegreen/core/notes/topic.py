"""What every topic of notes has: a frozen part of the state, its own events, and one fold over all entries."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.core.event import Event


@dataclass(frozen=True, slots=True)
class NoteEvent(Event):
    """The root of the entries that note something beside a switch: they never move one, and never move traffic."""
