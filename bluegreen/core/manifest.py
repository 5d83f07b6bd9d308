"""The change manifest: what moved forward with a release, as told by whoever deployed it. Pure.

It is checked once, where it comes in (`bluegreen.changes`); what is read here is what a journal holds. Journals that
are older than the check may hold anything: what is not understood is counted, never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class ChangeKind(StrEnum):
    """What it is that moved. Values are in journals: they never change."""

    SCHEMA = "schema"
    DATA = "data"
    API = "api"
    SECURITY = "security"
    CONFIG = "config"
    FLAG = "flag"
    DEPENDENCY = "dependency"
    JOB = "job"


class Compatible(StrEnum):
    """Whether the release before can live with it, as declared."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """What a schema change does: it only adds, or it takes something away."""

    EXPAND = "expand"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Advisory:
    """A security advisory that a release closes: `CVE-2026-1234`, `high`."""

    id: str
    severity: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.severity})" if self.severity else self.id


@dataclass(frozen=True, slots=True)
class Change:
    """One entry. `phase` belongs to schema, `advisories` to security. `undo`: how to take it back, in words."""

    kind: ChangeKind
    id: str
    summary: str
    backward_compatible: Compatible = Compatible.UNKNOWN
    phase: Direction | None = None
    advisories: tuple[Advisory, ...] = ()
    undo: str = ""

    @property
    def name(self) -> str:
        """`schema:20261101-orders`: unique within its manifest."""
        return f"{self.kind}:{self.id}"

    @property
    def takes_data_past(self) -> bool:
        """Whether, after it, the release before needs its data put right: declared so, or by what a contract is."""
        if self.phase is Direction.CONTRACT:
            return True
        stored = self.kind in (ChangeKind.SCHEMA, ChangeKind.DATA)
        return stored and self.backward_compatible is Compatible.NO

    @property
    def may_take_data_past(self) -> bool:
        """The same, where nobody has said that it does not."""
        stored = self.kind in (ChangeKind.SCHEMA, ChangeKind.DATA)
        return stored and self.backward_compatible is not Compatible.YES


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a release brought. Not `given` is not the same as empty: nobody said anything, or nothing but code changed.

    `unread` counts entries on record that this program does not understand.
    """

    given: bool
    changes: tuple[Change, ...] = ()
    unread: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all that it says is known."""
        return self.given and not self.unread


NOT_GIVEN = Manifest(given=False)


def write_down(changes: tuple[Change, ...]) -> str:
    """A manifest as a journal keeps it: JSON, a list; `[]` for nothing but code."""
    return json.dumps([_plain(change) for change in changes], ensure_ascii=False)


def on_record(text: str) -> Manifest:
    """The manifest that a journal holds; an empty text is none. Never raises: what is not understood is counted."""
    if not text:
        return NOT_GIVEN
    try:
        entries = json.loads(text)
    except ValueError:
        return Manifest(given=True, unread=1)
    if not isinstance(entries, list):
        return Manifest(given=True, unread=1)
    read = [_change(entry) for entry in entries]
    known = tuple(change for change in read if change is not None)
    return Manifest(True, known, len(read) - len(known))


def _plain(change: Change) -> dict[str, Any]:
    return {key: value for key, value in asdict(change).items() if value not in (None, "", ())}


def _change(entry: object) -> Change | None:
    if not isinstance(entry, Mapping):
        return None
    try:
        phase, advisories = entry.get("phase"), entry.get("advisories") or ()
        told = (entry["id"], entry["summary"], entry.get("undo") or "")
        if not all(isinstance(one, str) for one in told):
            return None
        return Change(
            ChangeKind(entry["kind"]), told[0], told[1],
            Compatible(entry.get("backward_compatible", "unknown")),
            Direction(phase) if phase is not None else None,
            tuple(Advisory(str(one["id"]), str(one.get("severity", ""))) for one in advisories),
            told[2],
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
