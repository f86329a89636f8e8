"""What the embedded bus keeps to beyond every bus's contract: one process, one file, bounded memory."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from postlaw_common.bus import BusUnavailable, Received, Record, Topic, TopicMismatch
from postlaw_common.bus.embedded import DAY_US, EmbeddedBus

HOLDER = """
import asyncio, sys
from postlaw_common.bus.embedded import EmbeddedBus
async def main():
    await EmbeddedBus(sys.argv[1], partitions=2).start()
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def opened(state: Path, *, memory_bytes: int = 1 << 20) -> EmbeddedBus:
    bus = EmbeddedBus(str(state), partitions=2, memory_bytes=memory_bytes)
    await bus.start()
    await bus.ensure_topics([Topic("t")])
    return bus


async def test_a_second_process_is_refused_in_one_line_and_let_in_once_the_first_was_killed(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(tmp_path), stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and await holder.stdout.readline() == b"open\n"
        with pytest.raises(BusUnavailable, match=r"another process uses .*embedded means one process") as refused:
            await opened(tmp_path)
        assert "\n" not in str(refused.value)
    finally:
        holder.kill()
        await holder.wait()
    await (await opened(tmp_path)).close()


async def test_what_was_acknowledged_survives_a_kill_without_a_close(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from postlaw_common.bus import Record, Topic
from postlaw_common.bus.embedded import EmbeddedBus
async def main():
    bus = EmbeddedBus(sys.argv[1], partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic("t")])
    for n in range(50):
        await bus.publish([Record("t", 1, b"%d" % n)])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    bus = await opened(tmp_path)
    assert [r.value for r in await bus.read_range("t", 1, 0, 99)] == [b"%d" % n for n in range(50)]
    await bus.close()


def in_memory() -> int:
    return sum(isinstance(thing, Received) for thing in gc.get_objects())


async def test_a_reader_far_behind_what_memory_holds_misses_and_repeats_nothing(tmp_path: Path) -> None:
    bus = await opened(tmp_path, memory_bytes=20_000)
    early = await bus.reader()
    await early.assign({("t", 0): 0, ("t", 1): 0})
    for start in range(0, 3000, 100):
        await bus.publish([Record("t", n % 2, b"%d" % n) for n in range(start, start + 100)])
    found = [record for _ in range(3000) for record in await early.read(max_records=37, timeout=0)]
    for partition in (0, 1):
        mine = [r for r in found if r.partition == partition]
        assert [r.value for r in mine] == [b"%d" % n for n in range(partition, 3000, 2)]
        assert [r.offset for r in mine] == list(range(1500))
    await bus.close()


async def test_a_reader_far_behind_keeps_little_of_each_partition(tmp_path: Path) -> None:
    bus = await opened(tmp_path, memory_bytes=0)
    for _ in range(20):
        await bus.publish([Record("t", 0, b"%d" % n) for n in range(500)])
    early = await bus.reader()
    await early.assign({("t", 0): 0})
    before = in_memory()
    assert await early.read(max_records=1, timeout=0)
    assert in_memory() - before < 1000  # of 10,000
    await bus.close()


async def test_memory_for_recent_records_stays_within_its_bound(tmp_path: Path) -> None:
    bus = await opened(tmp_path, memory_bytes=100_000)
    for _ in range(20):
        await bus.publish([Record("t", 0, bytes(1000)) for _ in range(50)])
    log = bus.log("t", 0)
    assert log.end == 1000
    assert len(log.tail) < 100
    assert [r.offset for r in log.tail] == list(range(log.tail_start, 1000))
    await bus.close()


async def test_retention_takes_the_old_and_keeps_offsets(tmp_path: Path) -> None:
    bus = await opened(tmp_path, memory_bytes=0)
    await bus.publish([Record("t", 0, b"old") for _ in range(10)])
    await bus.publish([Record("t", 0, b"last")])
    await bus.trim(time.time_ns() // 1000 + 29 * DAY_US)
    assert len(await bus.read_range("t", 0, 0, 99)) == 11
    await bus.trim(time.time_ns() // 1000 + 31 * DAY_US)
    assert [(r.offset, r.value) for r in await bus.read_range("t", 0, 0, 99)] == [(10, b"last")]
    reader = await bus.reader()
    await reader.assign({("t", 0): 0})
    assert [r.offset for r in await reader.read()] == [10]
    await bus.close()
    bus = await opened(tmp_path)
    assert await bus.publish([Record("t", 0, b"next")]) == [11]
    await bus.close()


async def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_bytes(b"this is no database, whatever its name says " * 100)
    with pytest.raises(BusUnavailable, match=r"bus\.db is damaged .*restore it from a backup"):
        await opened(tmp_path)


async def test_a_state_directory_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BusUnavailable, match=r"cannot use .*: (Not a directory|File exists)"):
        await opened(tmp_path / "file")


async def test_a_full_disk_fails_the_publishers_and_heals(tmp_path: Path) -> None:
    bus = await opened(tmp_path)
    await bus.publish([Record("t", 0, b"before")])

    def limit(pages: int | None, connection: sqlite3.Connection) -> None:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now if pages is None else pages}")

    await bus.on_writer(lambda c: limit(None, c))
    with pytest.raises(BusUnavailable, match="no room left on the disk"):
        await bus.publish([Record("t", 0, bytes(100_000))])
    await bus.on_writer(lambda c: limit(1 << 30, c))
    assert await bus.publish([Record("t", 0, b"after")]) == [1]
    assert [r.value for r in await bus.read_range("t", 0, 0, 9)] == [b"before", b"after"]
    await bus.close()


async def test_the_partition_count_of_an_installation_is_fixed(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with pytest.raises(TopicMismatch, match="made with 2 partitions"):
        await EmbeddedBus(str(tmp_path), partitions=4).start()
    await (await opened(tmp_path)).close()


async def test_closing_wakes_a_waiting_reader_with_an_error(tmp_path: Path) -> None:
    bus = await opened(tmp_path)
    reader = await bus.reader()
    await reader.assign({("t", 0): 0})
    waiting = asyncio.create_task(reader.read(timeout=60))
    await asyncio.sleep(0.01)
    await bus.close()
    with pytest.raises(BusUnavailable):
        await waiting
