"""What the embedded bus and the embedded store share: a SQLite file in WAL mode, and threads that take work in batches.

A thread takes everything that waits at once, so that what was asked concurrently shares one transaction, one fsync and one
way back into the event loop.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Work = TypeVar("Work")
Outcome = tuple["asyncio.Future[object]", object]  # a future and its result, or the exception to raise there

MAX_BATCH = 2000  # pieces of work in one go: bounds a transaction, and the wait of whoever came first


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, durable at each COMMIT. Raises OSError or sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=10.0)
    try:
        # Names are random, so that a bulk touches pages all over an index: of 16 kB they cost half the processor time of SQLite's 4 kB
        # ones (4.8 and 10.3 µs a document of 230 bytes, 4,000 together), a single write the same. Only a new file heeds it.
        connection.execute("PRAGMA page_size=16384")
        # Where the reader comes first, before the writer has made the file, both must find WAL mode.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        # Of twenty connections in one process: 4 MB for those that write saved 2 % of an import's time, and cost 7 MB of its peak.
        connection.execute("PRAGMA cache_size=-2000")
        connection.execute("PRAGMA wal_autocheckpoint=2000")  # pages; a bulk rewrites the same ones again and again
        connection.execute("PRAGMA journal_size_limit=67108864")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def make_directory(path: Path) -> None:
    """The state directory, readable by its owner alone. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def in_one_line(path: Path, error: BaseException) -> str:
    """What is wrong with this state, for a person: the path, the cause, and what to do where we know it."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError):
        return f"cannot use {path}: {error.strerror or text}"
    if "not a database" in text or "malformed" in text:
        return f"{path} is damaged ({text}): restore it from a backup, or move it away to begin anew"
    if "disk is full" in text:
        return f"no room left on the disk for {path}"
    if "readonly" in text or "unable to open" in text:
        return f"cannot write {path}: {text}"
    return f"{path}: {text}"


class WorkThread(Generic[Work]):
    """One daemon thread that hands whatever waits in its queue to `work`, in order. `work` must not raise."""

    def __init__(self, name: str, work: Callable[[list[Work]], None]) -> None:
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._work = work
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, piece: Work) -> None:
        if self._closing:
            raise RuntimeError("closed")
        self._queue.put(piece)

    async def close(self) -> None:
        """Finishes what was put before; returns when the thread has ended."""
        if not self._closing and self._thread.ident is not None:
            self._closing = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        waiting = self._queue
        while True:
            piece = waiting.get()
            batch: list[Work] = []
            while piece is not None:
                batch.append(piece)
                if len(batch) >= MAX_BATCH or waiting.empty():
                    break
                piece = waiting.get()
            if batch:
                self._work(batch)
            if piece is None:
                return


def resolve(outcomes: Sequence[Outcome]) -> None:
    """Settles futures; run it on their own event loop."""
    for future, result in outcomes:
        if not future.done():
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def hand_back(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    """Runs `call(*args)` on the loop, from another thread. Where the loop is gone, nobody waits any more."""
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            return
