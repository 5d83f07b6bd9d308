"""The journal of a failback that was done from a card: one small file, until a daemon takes it into its own journal.

It is chained like the journal. Nothing is on disk before `begin`. Where it cannot be written its entries go to standard
error, and the failback goes on: this is the one place where moving traffic outranks writing it down.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bluegreen import durable
from bluegreen.core.events import Entry, Record
from bluegreen.errors import JournalBroken
from bluegreen.model import Finding
from bluegreen.store.chain import ADVICE, GENESIS, link, parse
from bluegreen.store.memory import MemoryStore

DIRECTORY = "receipts"


class ReceiptStore(MemoryStore):
    """ports.Store over `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.error = path, ""
        self._begun, self._written = False, 0

    async def begin(self) -> None:
        """From here on every entry is on disk before it is believed."""
        self._begun = True
        await self._write()

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        """See ports.Store."""
        entries = await super().append(service, expected, records)
        if self._begun:
            await self._write()
        return entries

    async def writable(self) -> Finding:
        """See ports.Store."""
        return Finding("journal", ok=True, summary=f"a receipt is written to {self.path}")

    async def _write(self) -> None:
        lines = [json.dumps({"body": body, "hash": hash_}) for body, hash_ in self.rows()[self._written :]]
        try:
            await asyncio.to_thread(_append, self.path, lines)
        except OSError as error:
            self.error = f"{self.path} cannot be written: {error.strerror or error}"
            for line in lines:
                print(f"RECEIPT {line}", file=sys.stderr, flush=True)  # noqa: T201 - there is nowhere else
        self._written += len(lines)


def read_receipt(path: Path) -> tuple[Entry, ...]:
    """The entries of a receipt, verified. Raises JournalBroken. A last line that was cut off was never believed."""
    previous, entries = GENESIS, list[Entry]()
    try:
        *lines, _ = path.read_text(encoding="utf-8").split("\n")
        for line in lines:
            document = json.loads(line)
            if link(previous, document["body"]) != document["hash"]:
                raise JournalBroken(f"{path}: the chain breaks at entry {len(entries) + 1}", ADVICE)
            previous = document["hash"]
            entries.append(parse(document["body"], previous))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JournalBroken(f"{path} cannot be read: {error}", ADVICE) from error
    return tuple(entries)


def _append(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = not path.exists()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, "".join(f"{line}\n" for line in lines).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    if new:
        durable.sync(path.parent)
