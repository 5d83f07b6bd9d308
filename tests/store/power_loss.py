"""Power cuts: what a disk may hold after one, from what was done to it, and whether the journal stands it.

The store that writes is the unmodified `SqliteStore`, with its own statements and pragmas, over the recording VFS of
`disk`; the store that reads what is left is the same one over the standard library's SQLite.

The rules, after what POSIX promises and what SQLite's unix VFS does:
* what was written to a file since its last sync may be there or not, in any combination, and torn at 512 bytes; so may
  a truncation; a file may have grown over bytes that never came (they are zeros then);
* a sync brings the whole file to the disk, its length included;
* the name of a file that was made is on the disk once its directory was synced. SQLite syncs the directory at the first
  sync of a journal or WAL that it made, and with a deletion where it is asked to. Names that were made or deleted since
  then are there up to some point in their order: without this rule, a new WAL is lost in the model that no real disk
  loses;
* what is synced stays: disks that lie are not in this model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apsw

from bluegreen.core.events import Record
from bluegreen.errors import StoreError
from bluegreen.store.sqlite import SqliteStore
from tests.store.disk import Connection, Disk, Op, Rows

SECTOR = 512


@dataclass
class Inode:
    """A file: the bytes that are on the disk for sure, and what was done to it since."""

    journal: bool
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)
    named: bool = False
    """Whether a sync of it has brought its name to the disk."""


class Platter:
    """The disk between two operations."""

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._name_ops: list[tuple[str, Inode | None]] = []
        self.acknowledged = 0

    def apply(self, op: Op) -> None:
        """One operation further."""
        match op.call:
            case "ack":
                self.acknowledged = op.count
            case "create":
                self.names[op.file] = Inode(op.journal)
                self._name_ops.append((op.file, self.names[op.file]))
            case "delete":
                del self.names[op.file]
                self._name_ops.append((op.file, None))
                if op.synced:
                    self._sync_names()
            case "sync":
                inode = self.names[op.file]
                inode.durable = _done(inode.durable, inode.pending)
                inode.pending = []
                if inode.journal and not inode.named:
                    inode.named = True
                    self._sync_names()
            case "write" | "truncate":
                self.names[op.file].pending.append(op)

    def _sync_names(self) -> None:
        self._durable_names, self._name_ops = dict(self.names), []

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """What may be found after the power went now."""
        names = dict(self._durable_names)
        for name, inode in self._name_ops[: chance.randint(0, len(self._name_ops))]:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode
        how = chance.choice((_kept, _dropped, _subset, _torn))
        return {name: bytes(_done(inode.durable, how(inode.pending, chance))) for name, inode in names.items()}


def _done(durable: bytearray, ops: Sequence[Op]) -> bytearray:
    content = bytearray(durable)
    for op in ops:
        if op.call == "truncate":
            del content[op.offset :]
            continue
        content.extend(bytes(max(0, op.offset - len(content))))
        content[op.offset : op.offset + len(op.data)] = op.data
    return content


def _kept(pending: Sequence[Op], chance: random.Random) -> Sequence[Op]:
    return pending


def _dropped(pending: Sequence[Op], chance: random.Random) -> Sequence[Op]:
    return ()


def _subset(pending: Sequence[Op], chance: random.Random) -> Sequence[Op]:
    return [op for op in pending if chance.random() < 0.5]


def _torn(pending: Sequence[Op], chance: random.Random) -> Sequence[Op]:
    """Every write in sectors, each of which came or did not."""
    sectors = [
        replace(op, offset=op.offset + at, data=op.data[at : at + SECTOR])
        for op in pending
        if op.call == "write"
        for at in range(0, len(op.data), SECTOR)
    ]
    return [op for op in sectors if chance.random() < 0.5]


class Careless(Connection):
    """The control: SQLite with synchronous=OFF, which says that it is FULL."""

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        if sql == "PRAGMA synchronous":
            return Rows([(2,)])
        return super().execute("PRAGMA synchronous=OFF" if sql.startswith("PRAGMA synchronous=") else sql, values)


@dataclass(frozen=True)
class History:
    """What was done to a disk, and the hash of every entry that was written."""

    ops: list[Op]
    hashes: list[str]


async def history(
    directory: Path, lives: Sequence[Sequence[Sequence[Record]]], made: Callable[[apsw.Connection], Connection]
) -> History:
    """Each life opens the store, makes its appends, and closes it in order."""
    disk, hashes = Disk(made=made), list[str]()
    for appends in lives:
        store = SqliteStore(directory, connect=disk.connect)
        await store.open("writer")
        for records in appends:
            entries = await store.append("web", len(hashes), records)
            hashes += [entry.hash for entry in entries]
            disk.ops.append(Op("ack", count=len(hashes)))
        await store.close()
    disk.close()
    return History(disk.ops, hashes)


def cuts(done: History, states: int, seed: int) -> Iterator[tuple[dict[str, bytes], int, int]]:
    """So many states of the disk, each with the number of entries that were acknowledged before, and the number that
    there may be at the most: those, and the one append in flight."""
    chance, platter = random.Random(seed), Platter()
    at = sorted(chance.choices(range(len(done.ops) + 1), k=states))
    reached = 0
    for stop in at:
        for op in done.ops[reached:stop]:
            platter.apply(op)
        reached = stop
        following = next((op.count for op in done.ops[stop:] if op.call == "ack"), platter.acknowledged)
        yield platter.cut(chance), platter.acknowledged, following


@dataclass
class Tally:
    """What was found."""

    states: int = 0
    acknowledged: int = 0
    lost: int = 0
    """Acknowledged entries that were not there, over all states."""
    states_with_loss: int = 0
    unreadable: int = 0
    """States that were refused as no journal, or as broken."""
    in_flight: int = 0
    """States with an append that nobody was told of: lawful."""
    wrong: list[str] = field(default_factory=list)
    """Entries other than those that were written, or more of them than can be: never lawful."""


async def look(directory: Path, done: History, states: int, seed: int) -> Tally:
    """Open what is left after each cut with the real store. `directory` is used again for every state."""
    tally = Tally(states=states)
    for files, acknowledged, following in cuts(done, states, seed):
        for old in directory.glob("journal.sqlite*"):
            old.unlink()
        for name, content in files.items():
            (directory / name).write_bytes(content)
        tally.acknowledged += acknowledged
        found = await _hashes(directory)
        if found is None:
            tally.unreadable += 1
            found = []
        lost = max(0, acknowledged - len(found))
        tally.lost += lost
        tally.states_with_loss += lost > 0
        tally.in_flight += len(found) > acknowledged
        if found != done.hashes[: len(found)] or len(found) not in {*range(acknowledged + 1), following}:
            tally.wrong.append(f"{len(found)} entries after {acknowledged} were acknowledged, {following} at the most")
    return tally


async def _hashes(directory: Path) -> list[str] | None:
    store = SqliteStore(directory)
    try:
        await store.open("reader")
    except StoreError:
        return None
    try:
        return [entry.hash for entry in await store.read()]
    finally:
        await store.close()
