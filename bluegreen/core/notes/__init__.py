"""What is on record beside the way of a switch: evidence, claims, debts, flags, lessons, the warm side's proofs. Pure.

A note never moves a switch and never moves traffic: `phases` knows nothing of what stands here. Each topic is one file
with its part of the state, its events and its fold; the fold sees every entry of the service, so that a topic can begin
or end with what happens to the switch. To add a topic: a file, a field of `Notes`, a line in `fold`, a name in TOPICS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bluegreen.core.notes import artifacts, debts, evidence, flags, lessons, line, silence, warm
from bluegreen.core.notes.topic import NoteEvent as NoteEvent

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

TOPICS = (artifacts, debts, evidence, flags, lessons, line, silence, warm)
"""Where events of notes are defined."""


@dataclass(frozen=True, slots=True)
class Notes:
    """One part for each topic."""

    artifacts: artifacts.Artifacts = field(default_factory=artifacts.Artifacts)
    debts: debts.Debts = field(default_factory=debts.Debts)
    evidence: evidence.Evidence = field(default_factory=evidence.Evidence)
    flags: flags.Flags = field(default_factory=flags.Flags)
    lessons: lessons.Lessons = field(default_factory=lessons.Lessons)
    line: line.Line = field(default_factory=line.Line)
    silence: silence.Silences = field(default_factory=silence.Silences)
    warm: warm.WarmSide = field(default_factory=warm.WarmSide)


def fold(before: ServiceState, after: ServiceState, record: Record) -> Notes:
    """The notes one entry further. `before` and `after` are the state around it; `after` has the notes of before."""
    notes = before.notes
    return Notes(
        artifacts=artifacts.fold(notes.artifacts, before, after, record),
        debts=debts.fold(notes.debts, before, after, record),
        evidence=evidence.fold(notes.evidence, before, after, record),
        flags=flags.fold(notes.flags, before, after, record),
        lessons=lessons.fold(notes.lessons, before, after, record),
        line=line.fold(notes.line, before, after, record),
        silence=silence.fold(notes.silence, before, after, record),
        warm=warm.fold(notes.warm, before, after, record),
    )
