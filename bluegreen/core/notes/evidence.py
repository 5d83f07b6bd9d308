"""Which bundle of evidence belongs to which halt. Pure; the bundles themselves are files: see `bluegreen.evidence`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from bluegreen.core.notes.topic import NoteEvent

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

BUNDLES_MAX = 300
SHARED = "look at what both share, or at the check itself"
"""How a conclusion ends where the same check fails on the live side too."""


@dataclass(frozen=True, slots=True)
class EvidenceSealed(NoteEvent):
    """What was there at a halt is kept in a bundle: `digest` is that of its manifest, which has those of all parts.

    `missing` are sources that gave nothing, with why; `conclusions` are what the checks on the live environment showed.
    `late`: it was gathered by a later process than the one that halted. An empty `digest`: nothing could be kept, and
    `error` says why.
    """

    halt: str
    digest: str
    parts: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    conclusions: tuple[str, ...] = ()
    late: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The bundle of one halt."""

    switch: str
    at: datetime
    event: EvidenceSealed


@dataclass(frozen=True, slots=True)
class Evidence:
    """The bundles by halt, oldest first; the last BUNDLES_MAX."""

    bundles: Mapping[str, Sealed] = field(default_factory=dict)

    def shared(self, halt: str) -> tuple[str, ...]:
        """The conclusions of a halt that say that a failed check fails on the live side too."""
        sealed = self.bundles.get(halt)
        return tuple(one for one in sealed.event.conclusions if one.endswith(SHARED)) if sealed is not None else ()

    def of_switch(self, switch: str) -> tuple[str, ...]:
        """The halts of a switch that have a bundle, oldest first."""
        return tuple(halt for halt, sealed in self.bundles.items() if sealed.switch == switch)


def fold(part: Evidence, before: ServiceState, after: ServiceState, record: Record) -> Evidence:
    """One entry further."""
    if not isinstance(record.event, EvidenceSealed):
        return part
    sealed = Sealed(record.switch or "", record.at, record.event)
    return Evidence(dict([*part.bundles.items(), (record.event.halt, sealed)][-BUNDLES_MAX:]))
