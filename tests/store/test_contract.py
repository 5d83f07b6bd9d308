"""What every store keeps, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.errors import NotWritten, VersionConflict
from bluegreen.ports import Store
from bluegreen.store.memory import MemoryStore
from bluegreen.store.sqlite import SqliteStore
from tests.store.test_sqlite import a_record


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    one = SqliteStore(tmp_path)
    await one.open("test")
    yield one
    await one.close()


async def test_streams_are_read_apart_and_together_from_any_entry_on(store: Store) -> None:
    written = [
        *await store.append("web", 0, [a_record(1), a_record(2)]),
        *await store.append("api", 0, [a_record(3, "api")]),
        *await store.append("web", 2, [a_record(4)]),
    ]
    assert await store.read() == tuple(written)
    assert [entry.seq for entry in await store.read("web")] == [1, 2, 4]
    assert [entry.seq for entry in await store.read("web", after=1, limit=1)] == [2]
    assert [entry.seq for entry in await store.read(after=2, limit=9)] == [3, 4]
    assert await store.read("nobody") == ()


async def test_an_append_on_another_version_is_refused_and_leaves_nothing(store: Store) -> None:
    await store.append("web", 0, [a_record(1)])
    for version in (0, 2):
        with pytest.raises(VersionConflict):
            await store.append("web", version, [a_record(2), a_record(3)])
    assert len(await store.read()) == 1


async def test_a_store_that_is_well_says_so(store: Store) -> None:
    assert store.trouble is None
    assert (await store.writable()).ok


@pytest.mark.parametrize("kept", [False, True])
async def test_a_scripted_fault_is_raised_with_the_entries_kept_or_not(kept: bool) -> None:
    store = MemoryStore()
    store.faults.append((NotWritten("full"), kept))
    assert not (await store.writable()).ok
    with pytest.raises(NotWritten):
        await store.append("web", 0, [a_record(1)])
    assert len(await store.read()) == kept
    await store.close()
