"""A journal in memory: for tests and simulations. Lost with the object, not with the engine: a restart finds it.

Faults are scripted: each error in `faults` is raised by the next append, after the entries were kept or instead of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from bluegreen.core.events import Entry, Record
from bluegreen.errors import StoreError, VersionConflict
from bluegreen.model import Finding
from bluegreen.store.chain import GENESIS, body_of, link, parse


class MemoryStore:
    """ports.Store. Entries go through the same text and chain as on disk, so that what is read was written."""

    def __init__(self) -> None:
        self.faults: deque[tuple[BaseException, bool]] = deque()
        self.trouble: Finding | None = None
        self._rows: list[tuple[str, str]] = []
        self._versions: dict[str, int] = {}

    async def append(self, service: str, expected: int, records: Sequence[Record]) -> tuple[Entry, ...]:
        """See ports.Store."""
        version = self._versions.get(service, 0)
        if version != expected:
            raise VersionConflict(f"{service}: the journal is at {version}, the append was made on {expected}")
        error, kept = self.faults.popleft() if self.faults else (None, True)
        if error is not None and not kept:
            raise error
        appended = []
        for record in records:
            version += 1
            body = body_of(record, len(self._rows) + 1, version)
            hash_ = link(self._rows[-1][1] if self._rows else GENESIS, body)
            self._rows.append((body, hash_))
            appended.append(parse(body, hash_))
        self._versions[service] = version
        if error is not None:
            raise error
        return tuple(appended)

    async def read(self, service: str | None = None, after: int = 0, limit: int | None = None) -> tuple[Entry, ...]:
        """See ports.Store."""
        entries = [parse(body, hash_) for body, hash_ in self._rows[after:]]
        return tuple([entry for entry in entries if service in (None, entry.record.service)][:limit])

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The entries' texts and hashes, oldest first."""
        return tuple(self._rows)

    async def writable(self) -> Finding:
        """See ports.Store."""
        failing = bool(self.faults) and isinstance(self.faults[0][0], StoreError)
        return self.trouble or Finding("journal", ok=not failing, summary="in memory")

    async def close(self) -> None:
        """See ports.Store."""
