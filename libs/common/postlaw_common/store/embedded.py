"""The embedded store: a SQLite file a database, one writer that gathers concurrent writes, and readers beside it.

Short reads run on the event loop itself, from the page cache, in about 10 µs: WAL never makes a reader wait. On a thread each
row gives the GIL away, so that beside a busy loop one document took 8 ms and a page of 1,000 took 42 ms. Scans, counts, long
pages and every write (it waits for the disk) run on threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from postlaw_common.sqlite import Outcome, WorkThread, connect, hand_back, in_one_line, make_directory, resolve
from postlaw_common.store import AlreadyExists, CollectionSpec, Document, StoreUnavailable, VersionConflict
from postlaw_common.store.embedded_table import Table

T = TypeVar("T")
Call = tuple[Callable[[sqlite3.Connection], object], "asyncio.Future[object]", bool]

PAGE = 1000  # documents that `scan` holds at once
INSERT_CHUNK = 500  # documents packed before others get their turn on the event loop
TURN = 20  # short reads in a row before others get their turn on the event loop
SHORT_PAGE = 100  # documents read on the event loop at most


class EmbeddedStore:
    """`state` is the directory of `<database>.db`. Meant for one process; a second one is safe, and slow."""

    def __init__(self, state: str, database: str) -> None:
        self._path = Path(state) / f"{database}.db"
        self._collections: dict[str, EmbeddedCollection] = {}
        self._open = False
        self._turn = 0

    async def start(self, collections: Sequence[CollectionSpec]) -> None:
        """May be called again with further collections. Raises StoreUnavailable with one clear line."""
        self._loop = asyncio.get_running_loop()
        tables = [Table(spec) for spec in collections]
        try:
            if not self._open:
                await asyncio.to_thread(self._open_file)
            await self.write(lambda c: [table.ensure(c) for table in tables])
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(in_one_line(self._path, error)) from error
        for table in tables:
            self._collections[table.spec.name] = EmbeddedCollection(self, table)

    def _open_file(self) -> None:
        make_directory(self._path.parent)
        self._connection = connect(self._path)
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._reads = connect(self._path, read_only=True)
        self._short_reads = connect(self._path, read_only=True)
        self._writer: WorkThread[Call] = WorkThread(f"{self._path.stem}-writer", self._run_writes)
        self._reader: WorkThread[Call] = WorkThread(f"{self._path.stem}-reader", self._run_reads)
        self._writer.start()
        self._reader.start()
        self._open = True

    def collection(self, name: str) -> EmbeddedCollection:
        return self._collections[name]

    async def write(self, call: Callable[[sqlite3.Connection], T], *, one: bool = False) -> T:
        """Runs `call` inside the next transaction; returns when it is durable. `call` writes all of what it does, or raises first.

        `one`: it writes by one statement, which where nothing else waits is its own transaction: one step into SQLite, not three.
        """
        return await self._on(self._writer, call, one)

    async def read(self, call: Callable[[sqlite3.Connection], T]) -> T:
        return await self._on(self._reader, call, False)

    async def read_here(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """A short read, at once."""
        self._check()
        self._turn += 1
        if self._turn % TURN == 0:
            await asyncio.sleep(0)
        try:
            return call(self._short_reads)
        except sqlite3.Error as error:
            raise StoreUnavailable(in_one_line(self._path, error)) from error

    async def _on(self, thread: WorkThread[Call], call: Callable[[sqlite3.Connection], T], one: bool) -> T:
        self._check()
        future: asyncio.Future[object] = self._loop.create_future()
        thread.put((call, future, one))
        return cast("T", await future)

    def _check(self) -> None:
        if not self._open:
            raise StoreUnavailable(f"{self._path.stem} is closed")

    def _run_writes(self, batch: list[Call]) -> None:
        outcomes: list[Outcome] = []
        connection = self._connection
        alone = len(batch) == 1 and batch[0][2]
        try:
            if not alone:
                connection.execute("BEGIN IMMEDIATE")
            for call, future, _ in batch:
                try:
                    outcomes.append((future, call(connection)))
                except (AlreadyExists, VersionConflict) as refused:
                    outcomes.append((future, refused))
            if not alone:
                connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = StoreUnavailable(in_one_line(self._path, error))
            outcomes = [(future, failure) for _, future, _ in batch]
        hand_back(self._loop, resolve, outcomes)

    def _run_reads(self, batch: list[Call]) -> None:
        outcomes: list[Outcome] = []
        for call, future, _ in batch:
            try:
                outcomes.append((future, call(self._reads)))
            except Exception as error:
                outcomes.append((future, StoreUnavailable(in_one_line(self._path, error))))
        hand_back(self._loop, resolve, outcomes)

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        await self._writer.close()
        await self._reader.close()
        self._reads.close()
        self._short_reads.close()
        self._connection.close()


class EmbeddedCollection:
    def __init__(self, store: EmbeddedStore, table: Table) -> None:
        self._store = store
        self._table = table

    async def insert(self, document: Document) -> None:
        row = self._table.row(document)
        existing = await self._store.write(lambda c: self._table.insert(c, [row]), one=True)
        if existing:
            raise AlreadyExists(f"{self._table.spec.name}/{document['_id']} is there already")

    async def insert_many(self, documents: Sequence[Document]) -> set[str]:
        existing: set[str] = set()
        writes: list[asyncio.Task[set[str]]] = []
        for first in range(0, len(documents), INSERT_CHUNK):
            rows = [self._table.row(document) for document in documents[first : first + INSERT_CHUNK]]
            writes.append(asyncio.ensure_future(self._store.write(lambda c, rows=rows: self._table.insert(c, rows))))
            await asyncio.sleep(0)
        for done in await asyncio.gather(*writes):
            existing |= done
        return existing

    async def insert_in_order(self, documents: Sequence[Document]) -> int:
        for first in range(0, len(documents), INSERT_CHUNK):
            rows = [self._table.row(document) for document in documents[first : first + INSERT_CHUNK]]
            done = await self._store.write(lambda c, rows=rows: self._table.insert_in_order(c, rows))
            if done < len(rows):
                return first + done
        return len(documents)

    async def get(self, id: str, *, linearizable: bool = False) -> Document | None:
        # One file, and a write is acknowledged after its COMMIT: every read that begins later sees it.
        found = await self._store.read_here(lambda c: self._table.get(c, [id]))
        return found.get(id)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for first in range(0, len(ids), SHORT_PAGE):
            found |= await self._store.read_here(lambda c, first=first: self._table.get(c, ids[first : first + SHORT_PAGE]))
        return found

    async def replace(self, document: Document, *, version: int) -> Document:
        row = self._table.row(document)
        await self._store.write(lambda c: self._table.replace(c, row, version), one=True)
        return {**document, "v": version + 1}

    async def replace_many(self, documents: Sequence[Document]) -> None:
        rows = [(self._table.row(document), document["v"]) for document in documents]
        await self._store.write(lambda c: self._table.replace_many(c, rows))

    async def delete(self, id: str, *, version: int | None = None) -> bool:
        return await self._store.write(lambda c: self._table.delete(c, id, version), one=True)

    async def find(self, field: str, value: str | bytes, *, after: str = "", limit: int = 1000) -> list[Document]:
        self._table.column(field)
        if limit <= SHORT_PAGE:
            return await self._store.read_here(lambda c: self._table.page(c, field, value, after, limit))
        return await self._store.read(lambda c: self._table.page(c, field, value, after, limit))

    def under(self, prefix: str, *, after: str = "", size: int = PAGE) -> AsyncGenerator[list[Document]]:
        self._table.spec.check_range(prefix)
        return self._pages(lambda c, after: self._table.under(c, prefix, after, size), after, size)

    def scan(self, field: str | None = None, value: str | bytes | None = None, *, after: str = "") -> AsyncGenerator[list[Document]]:
        if field is not None:
            self._table.column(field)
        return self._pages(lambda c, after: self._table.page(c, field, value, after, PAGE), after, PAGE)

    async def _pages(
        self, read: Callable[[sqlite3.Connection, str], list[Document]], after: str, size: int
    ) -> AsyncGenerator[list[Document]]:
        while True:
            page = await self._store.read(lambda c, after=after: read(c, after))
            if page:
                yield page
            if len(page) < size:
                return
            after = page[-1]["_id"]

    async def count(self, field: str | None = None, value: str | bytes | None = None) -> int:
        if field is not None:
            self._table.column(field)
        return await self._store.read(lambda c: self._table.count(c, field, value))
