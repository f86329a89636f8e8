"""What the embedded store keeps to beyond every store's contract: its file, its threads, its words."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from postlaw_common.sqlite import connect
from postlaw_common.store import LARGEST, AlreadyExists, CollectionSpec, Index, StoreRefused, StoreUnavailable, VersionConflict
from postlaw_common.store.embedded import EmbeddedStore

THINGS = CollectionSpec("things", (Index("kind"),))


async def opened(state: Path) -> EmbeddedStore:
    store = EmbeddedStore(str(state), "service")
    await store.start([THINGS])
    return store


async def test_a_refused_write_takes_none_of_those_gathered_with_it_along(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    things = store.collection("things")
    await things.insert({"_id": "there"})
    results = await asyncio.gather(
        things.insert({"_id": "new"}),
        things.insert({"_id": "there"}),
        things.replace({"_id": "there"}, version=7),
        things.insert_many([{"_id": "there"}, {"_id": "newer"}]),
        things.delete("nobody"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), AlreadyExists, VersionConflict, set, bool]
    assert [d["_id"] async for page in things.scan() for d in page] == ["new", "newer", "there"]
    await store.close()


async def test_a_document_too_large_for_the_real_store_is_refused_here_too(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    things = store.collection("things")
    await things.insert({"_id": "fits", "data": bytes(LARGEST - 100)})
    with pytest.raises(StoreRefused, match="things/large takes"):
        await things.insert({"_id": "large", "data": bytes(LARGEST)})
    await store.close()


async def test_what_was_acknowledged_survives_a_kill_without_a_close(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from postlaw_common.sqlite import connect
from postlaw_common.store import CollectionSpec
from postlaw_common.store.embedded import EmbeddedStore
async def main():
    store = EmbeddedStore(sys.argv[1], "service")
    await store.start([CollectionSpec("things")])
    things = store.collection("things")
    for n in range(20):
        await things.insert({"_id": f"{n:02d}"})
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    store = await opened(tmp_path)
    assert await store.collection("things").count() == 20
    await store.close()


async def test_the_event_loop_runs_on_while_a_lot_is_written_and_read(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    things = store.collection("things")
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await things.insert_many([{"_id": f"{n:06d}", "kind": "k", "body": bytes(200)} for n in range(10_000)])
    written, turns = turns, 0
    for n in range(1000):
        await things.get(f"{n:06d}")
    counting.cancel()
    assert written >= 20 and turns >= 40
    await store.close()


def test_every_connection_writes_ahead_and_syncs_at_each_commit(tmp_path: Path) -> None:
    for read_only in (True, False):
        connection = connect(tmp_path / "x.db", read_only=read_only)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        connection.close()


async def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "service.db").write_bytes(b"this is no database, whatever its name says " * 100)
    with pytest.raises(StoreUnavailable, match=r"service\.db is damaged .*restore it from a backup"):
        await opened(tmp_path)


async def test_a_state_directory_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot use .*: (Not a directory|File exists)"):
        await opened(tmp_path / "file")


async def test_a_full_disk_fails_the_writers_and_heals(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    things = store.collection("things")

    def limit(pages: int | None, connection: sqlite3.Connection) -> None:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now if pages is None else pages}")

    await store.write(lambda c: limit(None, c))
    with pytest.raises(StoreUnavailable, match="no room left on the disk"):
        await things.insert({"_id": "a", "body": bytes(100_000)})
    await store.write(lambda c: limit(1 << 30, c))
    await things.insert({"_id": "a"})
    assert await things.count() == 1
    await store.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    things = store.collection("things")
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await things.get("a")
    with pytest.raises(StoreUnavailable, match="closed"):
        await things.insert({"_id": "a"})


@pytest.mark.parametrize("name", ['a"; DROP TABLE x; --', "", "a b", "1a"])
async def test_a_name_that_could_be_sql_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        await EmbeddedStore(str(tmp_path), "service").start([CollectionSpec(name)])
