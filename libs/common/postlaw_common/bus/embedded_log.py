"""The embedded bus's log: batches of records in a SQLite file, and the newest of them in memory.

A batch row holds the consecutive records that one transaction added to one partition. Its rowid is `log << 40 | last offset`,
so that a partition's batches lie together and in order, and one B-tree is all there is to write. A partition's last batch is
never trimmed: it carries the end offset over a restart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from postlaw_common.bus import Received, Record, TopicMismatch

OFFSET_BITS = 40
PARTITION_BITS = 12
ROW_RECORDS = 500  # per row, so that a reader never unpacks much more than it asked for
STATEMENT_ROWS = 200

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, retention_days INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, timestamp_us INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS commits (
    member_group TEXT NOT NULL, log INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (member_group, log)) WITHOUT ROWID;
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes | None, bytes, dict[str, bytes]]]).decode


class Waker(Protocol):
    """Something that wants to know when a log has grown."""

    def wake(self) -> None: ...


@dataclass(eq=False, slots=True)
class Log:
    """One partition of one topic. `end` and `tail` belong to the event loop, `next` to the writer's thread."""

    id: int
    topic: str
    partition: int
    start: int  # the first offset still kept
    end: int  # the offset that the next record will get; everything below is durable
    next: int
    tail: list[Received] = field(default_factory=list[Received])  # the newest records, without a gap up to `end`
    wakers: set[Waker] = field(default_factory=set[Waker])

    @property
    def tail_start(self) -> int:
        return self.end - len(self.tail)


Appended = dict[Log, list[Received]]


def append(connection: sqlite3.Connection, entries: Sequence[tuple[Log, Record]], timestamp_us: int) -> tuple[Appended, list[int]]:
    """Writes the records in one transaction; returns them as readers will see them, and their offsets in the order given."""
    appended: Appended = {}
    offsets: list[int] = []
    for log, record in entries:
        received = appended.get(log)
        if received is None:
            received = appended[log] = []
        offset = log.next + len(received)
        offsets.append(offset)
        headers = record.headers if type(record.headers) is dict else dict(record.headers)
        received.append(Received(log.topic, log.partition, offset, record.value, record.key, headers, timestamp_us))
    rows: list[object] = []
    for log, received in appended.items():
        for first in range(0, len(received), ROW_RECORDS):
            part = received[first : first + ROW_RECORDS]
            body = _encode([(r.key, r.value, r.headers) for r in part])
            rows += (log.id << OFFSET_BITS | part[-1].offset, timestamp_us, len(part), body)
    _insert(connection, rows)
    for log, received in appended.items():
        log.next += len(received)
    return appended, offsets


def _insert(connection: sqlite3.Connection, rows: list[object]) -> None:
    # One statement in autocommit mode is a transaction of its own, and gives the GIL away once instead of once a row:
    # beside a busy event loop every re-entry may cost a whole switch interval (5 ms).
    step = STATEMENT_ROWS * 4
    if len(rows) <= step:
        connection.execute(_statement(len(rows) // 4), rows)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            connection.execute(_statement(len(part) // 4), part)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statement(rows: int) -> str:
    return "INSERT INTO batches (id, timestamp_us, count, body) VALUES (?,?,?,?)" + ",(?,?,?,?)" * (rows - 1)


def load(connection: sqlite3.Connection, log: Log, start: int, end: int, limit: int) -> list[Received]:
    """Records with start <= offset < end, in order, at most `limit` of them (or a row's worth more)."""
    low = log.id << OFFSET_BITS
    found: list[Received] = []
    high = low | (1 << OFFSET_BITS) - 1
    rows = connection.execute("SELECT id, timestamp_us, count, body FROM batches WHERE id BETWEEN ? AND ? ORDER BY id", (low | start, high))
    try:
        for id, timestamp_us, count, body in rows:
            offset = id - low - count + 1
            if offset >= end:
                break
            for key, value, headers in _decode(body):
                if start <= offset < end:
                    found.append(Received(log.topic, log.partition, offset, value, key, headers, timestamp_us))
                offset += 1
            if len(found) >= limit:
                break
    finally:
        rows.close()
    return found


def open_logs(connection: sqlite3.Connection, topic_id: int, topic: str, partitions: int) -> list[Log]:
    """A topic's logs with their first and end offsets."""
    logs: list[Log] = []
    for partition in range(partitions):
        id = topic_id << PARTITION_BITS | partition
        low, high = id << OFFSET_BITS, (id + 1 << OFFSET_BITS) - 1
        first = connection.execute("SELECT id, count FROM batches WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1", (low, high)).fetchone()
        last = connection.execute("SELECT max(id) FROM batches WHERE id BETWEEN ? AND ?", (low, high)).fetchone()[0]
        start, end = (first[0] - low - first[1] + 1, last - low + 1) if first else (0, 0)
        logs.append(Log(id, topic, partition, start, end, end))
    return logs


def trim(connection: sqlite3.Connection, log: Log, before_us: int) -> int:
    """Deletes the batches older than that, but never the last one; returns the first offset kept."""
    low, high = log.id << OFFSET_BITS, (log.id + 1 << OFFSET_BITS) - 1
    kept = connection.execute(
        "SELECT id, count FROM batches WHERE id BETWEEN ? AND ? AND timestamp_us >= ? ORDER BY id LIMIT 1", (low, high, before_us)
    ).fetchone()
    if kept is None:
        kept = connection.execute("SELECT id, count FROM batches WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", (low, high)).fetchone()
    if kept is None:
        return log.start
    connection.execute("DELETE FROM batches WHERE id >= ? AND id < ?", (low, kept[0]))
    return kept[0] - low - kept[1] + 1


def check_partitions(connection: sqlite3.Connection, wanted: int) -> None:
    """The installation's partition count is what it was on the first day. Raises TopicMismatch."""
    connection.execute("INSERT OR IGNORE INTO settings VALUES ('partitions', ?)", (wanted,))
    (there,) = connection.execute("SELECT value FROM settings WHERE name = 'partitions'").fetchone()
    if there != wanted:
        raise TopicMismatch(f"this installation was made with {there} partitions and cannot run with {wanted}: set it back to {there}")
