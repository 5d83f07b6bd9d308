"""What a failback left wrong on purpose, who owns it, and that it was acknowledged. Pure.

A debt begins when a failback has moved all of the traffic: for everything that the manifests say moved forward, and
that the environment which is live again does not have; and, as unknown, for what nobody has told. It ends when a person
says that it is paid, or when the release that was left (or the one that brought it) is live again. Nothing else ends
it, and no time does. What is wrong holds the next deployment up until a person has read it; what is unknown does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from bluegreen.core.manifest import Change, ChangeKind
from bluegreen.core.notes.topic import NoteEvent
from bluegreen.errors import BadRequest, Refused
from bluegreen.model import Kind, Release

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState, Switch


@dataclass(frozen=True, slots=True)
class DebtsAcknowledged(NoteEvent):
    """A person has read these debts, and knows that they are there."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DebtOwned(NoteEvent):
    """Somebody has it to see to."""

    id: str
    owner: str


@dataclass(frozen=True, slots=True)
class DebtPaid(NoteEvent):
    """A person says that it is put right; the reason is on the entry."""

    id: str


@dataclass(frozen=True, slots=True)
class Lived:
    """A release that is live again: what ends the debts that came of leaving it."""

    version: str | None
    artifact: str | None

    def is_in(self, release: Release | None) -> bool:
        """Whether this is the release of an environment; by its digest too, where both are known."""
        if release is None or release.version is None or release.version != self.version:
            return False
        return None in (release.artifact, self.artifact) or release.artifact == self.artifact


@dataclass(frozen=True, slots=True)
class Debt:
    """One thing that is wrong on purpose. `switch`: the failback that it came of; `topic`: the kind of the change.
    `unknown`: nobody has said whether anything is wrong, so that somebody has to look."""

    id: str
    topic: str
    what: str
    since: datetime
    switch: str
    ends_with: tuple[Lived, ...] = ()
    owner: str | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Debts:
    """This topic's part of the state: what is not paid, oldest first."""

    open: tuple[Debt, ...] = ()

    def unread(self) -> tuple[Debt, ...]:
        """What nobody has acknowledged yet."""
        return tuple(debt for debt in self.open if debt.acknowledged_at is None)


def fold(part: Debts, before: ServiceState, after: ServiceState, record: Record) -> Debts:
    """One entry further."""
    from bluegreen.core.events import Shifted  # it knows the events, which know the topics

    if isinstance(record.event, NoteEvent):
        return _told(part, record)
    if after.live is not None and after.live != before.live:
        lived = after.releases.get(after.live)
        part = Debts(tuple(debt for debt in part.open if not any(one.is_in(lived) for one in debt.ends_with)))
    if isinstance(record.event, Shifted) and (new := {debt.id: debt for debt in _new(before, record)}):
        owed = {debt.id: debt for debt in part.open}
        again = {id_: _again(owed[id_], debt) if id_ in owed else debt for id_, debt in new.items()}
        return Debts(tuple({**owed, **again}.values()))
    return part


def no_unread(state: ServiceState) -> None:
    """Raises Refused where a failback left something wrong that nobody has acknowledged."""
    if unread := [debt for debt in state.notes.debts.unread() if not debt.unknown]:
        names = ", ".join(debt.id for debt in unread)
        raise Refused(
            f"{state.service}: a failback left debts that nobody has acknowledged: {names}",
            f"read them: bluegreen debts {state.service}; then: bluegreen debts {state.service} --acknowledge",
        )


def acknowledge(state: ServiceState, ids: Sequence[str] | None) -> tuple[NoteEvent, ...]:
    """The entry that acknowledges these debts, or all that are unread; none where all were. Raises BadRequest."""
    for id_ in ids or ():
        _known(state, id_)
    meant = tuple(debt.id for debt in state.notes.debts.unread() if ids is None or debt.id in ids)
    return (DebtsAcknowledged(meant),) if meant else ()


def own(state: ServiceState, id_: str, owner: str) -> tuple[NoteEvent, ...]:
    """The entry that gives a debt its owner. Raises BadRequest."""
    return (DebtOwned(id_, owner),) if _known(state, id_).owner != owner else ()


def pay(state: ServiceState, id_: str) -> tuple[NoteEvent, ...]:
    """The entry that says that a debt is put right. Raises BadRequest."""
    _known(state, id_)
    return (DebtPaid(id_),)


def _known(state: ServiceState, id_: str) -> Debt:
    for debt in state.notes.debts.open:
        if debt.id == id_:
            return debt
    known = ", ".join(debt.id for debt in state.notes.debts.open) or "none"
    raise BadRequest(f"{state.service} has no debt {id_!r}", {"id": f"wanted one of: {known}"})


def _told(part: Debts, record: Record) -> Debts:
    match record.event:
        case DebtsAcknowledged(ids=ids):
            read = tuple(replace(debt, acknowledged_by=record.by, acknowledged_at=record.at) for debt in part.open)
            return Debts(tuple(new if new.id in ids else old for old, new in zip(part.open, read, strict=True)))
        case DebtOwned(id=id_, owner=owner):
            return Debts(tuple(replace(debt, owner=owner) if debt.id == id_ else debt for debt in part.open))
        case DebtPaid(id=id_):
            return Debts(tuple(debt for debt in part.open if debt.id != id_))
        case _:
            return part


def _again(old: Debt, new: Debt) -> Debt:
    """Owed already, and left once more: whoever sees to it still does, but nobody has acknowledged it since."""
    return replace(new, owner=old.owner, ends_with=tuple(dict.fromkeys((*old.ends_with, *new.ends_with))))


def _new(before: ServiceState, record: Record) -> Iterator[Debt]:
    """What the failback that has just moved everything leaves behind."""
    from bluegreen.core.forward import moved_forward  # it knows the state, which knows this topic

    switch = before.open_switch
    if switch is None or switch.kind is not Kind.FAILBACK:
        return
    moved, release = moved_forward(before, switch.candidate), before.releases.get(switch.source) or Release(None)
    left = Lived(release.version, release.artifact)
    if not moved.whole:
        what = f"what was brought since {switch.candidate} was live before is not all on record: {_look(switch)}"
        yield Debt("record", UNTOLD, what, record.at, switch.id, (left,), unknown=True)
    for brought in moved.releases:
        ends, version = (Lived(brought.version, brought.artifact), left), brought.version or "an unnamed version"
        for change in brought.manifest.changes:
            for id_, what in _wrong(change, switch.candidate, version):
                yield Debt(id_, change.kind, what, record.at, switch.id, ends)
        if not brought.manifest.is_whole:
            missing = f"all of what {version} changed" if brought.manifest.given else f"what {version} changed"
            what = f"nobody has said {missing}: {_look(switch)}"
            yield Debt(f"manifest:{version}", UNTOLD, what, record.at, switch.id, ends, unknown=True)


UNTOLD = "manifest"
"""The topic of what nobody has told."""


def _look(switch: Switch) -> str:
    live = switch.candidate
    return f"look whether schema, data, APIs, security fixes, configuration, flags or jobs are wrong now for {live}"


def _wrong(change: Change, live: str, version: str) -> Iterator[tuple[str, str]]:
    """Each debt of a change, with its id and its words."""
    undo = f" (to undo it: {change.undo})" if change.undo else ""
    by = f"{version}, {change.summary}"
    match change.kind:
        case ChangeKind.SECURITY if change.advisories:
            for advisory in change.advisories:
                yield f"advisory:{advisory.id}", f"{advisory} is open again on {live} (closed by {by})"
        case ChangeKind.SECURITY:
            yield change.name, f"a security fix is undone on {live} ({by})"
        case ChangeKind.SCHEMA:
            yield change.name, f"the schema is ahead of {live} ({by}){undo}"
        case ChangeKind.DATA:
            yield change.name, f"data was changed for a release that is not live ({by}){undo}"
        case ChangeKind.FLAG:
            yield change.name, f"a flag's feature is off on {live} ({by}){undo}"
        case ChangeKind.JOB:
            yield change.name, f"a job has no release to it ({by}){undo}"
        case ChangeKind.CONFIG:
            yield change.name, f"configuration is ahead of {live} ({by}){undo}"
        case ChangeKind.API | ChangeKind.DEPENDENCY:
            yield change.name, f"{live} does not have it, and others may rely on it ({by}){undo}"
        case _:
            assert_never(change.kind)
