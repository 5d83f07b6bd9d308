"""What a release's change manifest says of going back, read from the text on record. Pure; believes no silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bluegreen.model import Answer

STAYS = ("schema", "data")
"""Kinds of change that stay behind when the traffic goes back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: `compatible` is whether the version before can work with it; `undo` is how to take it back."""

    kind: str
    name: str
    compatible: Answer
    undo: str = ""

    @property
    def stays(self) -> bool:
        """Whether it stays behind when the traffic goes back, and the version before may not bear it."""
        return self.kind in STAYS and self.compatible is not Answer.YES


@dataclass(frozen=True, slots=True)
class Carried:
    """All entries of a manifest."""

    changes: tuple[Change, ...]

    def kept(self, answer: Answer) -> list[str]:
        """The names of the entries with that answer."""
        return [change.name for change in self.changes if change.compatible is answer]


def carried(manifest: str) -> Carried | None:
    """The manifest's entries; None where none was given. What cannot be read is unknown, never safe."""
    if not manifest:
        return None
    try:
        content = json.loads(manifest)
    except ValueError:
        content = None
    entries = content.get("changes") if isinstance(content, Mapping) else content
    if not isinstance(entries, list):
        return Carried((Change("schema", "a change manifest that cannot be read", Answer.UNKNOWN),))
    return Carried(tuple(_change(entry) for entry in entries))


def _change(entry: Any) -> Change:
    if not isinstance(entry, Mapping):
        return Change("schema", str(entry)[:60], Answer.UNKNOWN)
    answer = str(entry.get("backward_compatible", "unknown"))
    kind, name = str(entry.get("kind", "change")), str(entry.get("id") or entry.get("summary") or "unnamed")
    known = Answer(answer) if answer in list(Answer) else Answer.UNKNOWN
    return Change(kind, f"{kind} {name}", known, str(entry.get("undo") or ""))
