"""The embedded bus: one process, one SQLite file, one writer that gathers what is published at the same time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from postlaw_common.bus import BusUnavailable, Received, Record, Topic, TopicMismatch
from postlaw_common.bus import embedded_log as log_file
from postlaw_common.bus.embedded_log import Appended, Log
from postlaw_common.bus.embedded_readers import EmbeddedGroupReader, EmbeddedReader, Group
from postlaw_common.sqlite import Outcome, WorkThread, connect, hand_back, in_one_line, make_directory, resolve

T = TypeVar("T")
Publish = tuple[list[tuple[Log, Record]], "asyncio.Future[object]"]
Call = tuple[Callable[[sqlite3.Connection], object], "asyncio.Future[object]"]

MEMORY_BYTES = 10 << 20  # of recent records, over all partitions
RECORD_OVERHEAD = 1100  # bytes that a record takes in memory beside its value: its key, a dozen headers and the objects that hold them
TRIM_SECONDS = 3600.0
DAY_US = 86_400_000_000


class EmbeddedBus:
    """`state` is the directory of `bus.db`; it belongs to one process at a time."""

    def __init__(self, state: str, *, partitions: int = 16, memory_bytes: int = MEMORY_BYTES) -> None:
        self._path = Path(state) / "bus.db"
        self._partitions = partitions
        self._memory_bytes = memory_bytes
        self._logs: dict[tuple[str, int], Log] = {}
        self._retention: dict[str, int] = {}
        self._groups: dict[str, Group] = {}
        self._recent: deque[tuple[Log, int, int]] = deque()
        self._recent_bytes = 0
        self._lock: int | None = None
        self._open = False
        self._trimming: asyncio.Task[None] | None = None

    @property
    def partitions(self) -> int:
        return self._partitions

    async def start(self) -> None:
        """Raises BusUnavailable with one clear line where the state cannot be used, TopicMismatch for another partition count."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._open_file)
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise BusUnavailable(in_one_line(self._path, error)) from error
        except TopicMismatch:
            self._unlock()
            raise
        self._writer: WorkThread[Publish | Call] = WorkThread("bus-writer", self._write)
        self._reading: WorkThread[Call] = WorkThread("bus-reader", self._run_reads)
        self._writer.start()
        self._reading.start()
        self._open = True
        self._trimming = asyncio.create_task(self._trim_now_and_then())

    def _open_file(self) -> None:
        make_directory(self._path.parent)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise BusUnavailable(
                f"another process uses {self._path.parent}: embedded means one process; stop it, or choose another state directory"
            ) from None
        self._lock = lock
        self._connection = connect(self._path)
        self._connection.executescript(log_file.SCHEMA)
        log_file.check_partitions(self._connection, self._partitions)
        for id, name, partitions, retention_days in self._connection.execute("SELECT * FROM topics").fetchall():
            self._learn(log_file.open_logs(self._connection, id, name, partitions), name, retention_days)
        self._reads = connect(self._path, read_only=True)

    def _learn(self, logs: list[Log], topic: str, retention_days: int) -> None:
        self._retention[topic] = retention_days
        for log in logs:
            self._logs[topic, log.partition] = log

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            partitions = topic.partitions or self._partitions
            there = sum(name == topic.name for name, _ in self._logs)
            if there and there != partitions:
                raise TopicMismatch(f"topic {topic.name} has {there} partitions, this installation needs {partitions}: is this its state?")
            if self._retention.get(topic.name) == topic.retention_days:
                continue
            # Retention is ours alone to keep here, so a changed one is simply taken over.
            logs = await self.on_writer(lambda c, t=topic, p=partitions: _ensure(c, t, p))
            self._retention[topic.name] = topic.retention_days
            if (topic.name, 0) not in self._logs:  # another call may have been quicker
                self._learn(logs, topic.name, topic.retention_days)
        for group in self._groups.values():
            group.share_out(self._logs)

    async def publish(self, records: Sequence[Record]) -> list[int]:
        if not records:
            return []
        entries = [(self.log(record.topic, record.partition), record) for record in records]
        self._check()
        future: asyncio.Future[object] = self._loop.create_future()
        self._writer.put((entries, future))
        return cast("list[int]", await future)

    def log(self, topic: str, partition: int) -> Log:
        """Raises KeyError where there is none."""
        log = self._logs.get((topic, partition))
        if log is None:
            raise KeyError(f"topic {topic} has no partition {partition}, or was never ensured")
        return log

    def _write(self, batch: list[Publish | Call]) -> None:
        calls = [cast("Call", piece) for piece in batch if callable(piece[0])]
        published = [cast("Publish", piece) for piece in batch if not callable(piece[0])]
        if published:
            entries = published[0][0] if len(published) == 1 else [entry for part, _ in published for entry in part]
            try:
                appended, offsets = log_file.append(self._connection, entries, time.time_ns() // 1000)
                outcomes: list[Outcome] = []
                first = 0
                for part, future in published:
                    outcomes.append((future, offsets[first : first + len(part)]))
                    first += len(part)
                hand_back(self._loop, self._written, appended, outcomes)
            except Exception as error:
                failure = BusUnavailable(in_one_line(self._path, error))
                hand_back(self._loop, resolve, [(future, failure) for _, future in published])
        if calls:
            hand_back(self._loop, resolve, [(future, self._outcome(self._connection, call)) for call, future in calls])

    def _run_reads(self, batch: list[Call]) -> None:
        hand_back(self._loop, resolve, [(future, self._outcome(self._reads, call)) for call, future in batch])

    def _outcome(self, connection: sqlite3.Connection, call: Callable[[sqlite3.Connection], object]) -> object:
        try:
            return call(connection)
        except Exception as error:
            return BusUnavailable(in_one_line(self._path, error))

    def _written(self, appended: Appended, outcomes: list[Outcome]) -> None:
        for log, received in appended.items():
            log.tail += received
            log.end += len(received)
            size = sum(len(record.value) for record in received) + RECORD_OVERHEAD * len(received)
            self._recent.append((log, len(received), size))
            self._recent_bytes += size
        if self._recent_bytes > self._memory_bytes:
            self._forget()
        resolve(outcomes)
        for log in appended:
            for waker in log.wakers:
                waker.wake()

    def _forget(self) -> None:
        """Lets a quarter of the recent records go at once: cutting a list's head costs its length."""
        counts: dict[Log, int] = {}
        while self._recent and self._recent_bytes > self._memory_bytes * 3 // 4:
            log, count, size = self._recent.popleft()
            counts[log] = counts.get(log, 0) + count
            self._recent_bytes -= size
        for log, count in counts.items():
            del log.tail[:count]

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> EmbeddedReader:
        return EmbeddedReader(self._logs, self._load, self._check)

    async def group(self, group: str, topics: Sequence[str]) -> EmbeddedGroupReader:
        known = self._groups.get(group)
        if known is None:
            committed = "SELECT log, position FROM commits WHERE member_group = ?"
            rows = await self.on_writer(lambda c: c.execute(committed, (group,)).fetchall())
            by_id = {log.id: log for log in self._logs.values()}
            known = self._groups.setdefault(group, Group(group, {by_id[id]: position for id, position in rows if id in by_id}))
        member = EmbeddedGroupReader(known, topics, await self.reader(), self._commit, self._leave)
        known.members.append(member)
        known.share_out(self._logs)
        return member

    def _leave(self, member: EmbeddedGroupReader) -> None:
        if member in member.group.members:
            member.group.members.remove(member)
            member.group.share_out(self._logs)

    async def _commit(self, group: Group, positions: dict[tuple[str, int], int]) -> None:
        rows: list[object] = []
        for partition, position in positions.items():
            log = self._logs[partition]
            group.committed[log] = max(position, group.committed.get(log, 0))
            rows += (group.name, log.id, group.committed[log])
        statement = "INSERT OR REPLACE INTO commits VALUES (?,?,?)" + ",(?,?,?)" * (len(positions) - 1)
        await self.on_writer(lambda c: c.execute(statement, rows).rowcount)

    async def end_offset_client(self) -> EmbeddedEndOffsets:
        return EmbeddedEndOffsets(self._end_offsets)

    def _end_offsets(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        self._check()
        return {(topic, partition): self.log(topic, partition).end for topic, partition in partitions}

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        self._check()
        log = self.log(topic, partition)
        end = min(end, log.end)
        if start >= end:
            return []
        if start >= log.tail_start:
            return log.tail[start - log.tail_start : end - log.tail_start]
        return await self._load(log, start, end, end - start)

    async def _load(self, log: Log, start: int, end: int, limit: int) -> list[Received]:
        return await self._on(self._reading, lambda c: log_file.load(c, log, start, end, limit))

    async def trim(self, now_us: int) -> None:
        """Deletes what is older than its topic's retention. Runs by itself once an hour."""
        for log in list(self._logs.values()):
            before_us = now_us - self._retention[log.topic] * DAY_US
            log.start = await self.on_writer(lambda c, log=log, before_us=before_us: log_file.trim(c, log, before_us))

    async def _trim_now_and_then(self) -> None:
        while True:
            await self.trim(time.time_ns() // 1000)
            await asyncio.sleep(TRIM_SECONDS)

    async def on_writer(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `call` on the thread that writes, after what was published before."""
        return await self._on(self._writer, call)

    async def _on(self, thread: WorkThread[Call] | WorkThread[Publish | Call], call: Callable[[sqlite3.Connection], T]) -> T:
        self._check()
        future: asyncio.Future[object] = self._loop.create_future()
        thread.put((call, future))
        return cast("T", await future)

    def _check(self) -> None:
        if not self._open:
            raise BusUnavailable("the bus is closed")

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._trimming is not None:
            self._trimming.cancel()
            await asyncio.gather(self._trimming, return_exceptions=True)
        for log in self._logs.values():
            for waker in list(log.wakers):
                waker.wake()
        await self._writer.close()
        await self._reading.close()
        self._reads.close()
        self._connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class EmbeddedEndOffsets:
    """Answered from memory: a record counts from the moment it is durable and before its publisher knows."""

    def __init__(self, ask: Callable[[Sequence[tuple[str, int]]], dict[tuple[str, int], int]]) -> None:
        self._ask = ask

    async def end_offsets(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return self._ask(partitions)

    async def close(self) -> None:
        return None


def _ensure(connection: sqlite3.Connection, topic: Topic, partitions: int) -> list[Log]:
    connection.execute(
        "INSERT INTO topics (name, partitions, retention_days) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET retention_days = ?",
        (topic.name, partitions, topic.retention_days, topic.retention_days),
    )
    (id,) = connection.execute("SELECT id FROM topics WHERE name = ?", (topic.name,)).fetchone()
    return log_file.open_logs(connection, id, topic.name, partitions)
