"""The store as telemetry sees it: how long writes take until they are durable. Only where somebody reads that; reads are not touched."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import TypeVar

from postlaw_common.store import Collection, CollectionSpec, Document, Store, StoreUnavailable
from postlaw_common.telemetry import meter

T = TypeVar("T")

BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]

_duration = meter(__name__).create_histogram(
    "db.client.operation.duration",
    unit="s",
    description="Writes, until they are durable",
    explicit_bucket_boundaries_advisory=BUCKETS_S,
)


class MeasuredStore:
    """Another store, with every write measured. `system`: "mongodb" or "sqlite"; `database`: the service's."""

    def __init__(self, store: Store, system: str, database: str) -> None:
        self._store = store
        self._about = {"db.system.name": system, "db.namespace": database}
        self._collections: dict[str, MeasuredCollection] = {}

    async def start(self, collections: Sequence[CollectionSpec]) -> None:
        await self._store.start(collections)

    def collection(self, name: str) -> Collection:
        """One object a name: outboxes tell collections apart by identity."""
        known = self._collections.get(name)
        if known is None:
            known = self._collections[name] = MeasuredCollection(self._store.collection(name), self._about)
        return known

    async def close(self) -> None:
        await self._store.close()


class MeasuredCollection:
    def __init__(self, collection: Collection, about: dict[str, str]) -> None:
        self._collection = collection
        self._about = {
            name: {**about, "db.operation.name": name}
            for name in ("insert", "insert_many", "insert_in_order", "replace", "replace_many", "delete")
        }

    async def _write(self, name: str, writing: Awaitable[T]) -> T:
        about, began = self._about[name], time.perf_counter()
        try:
            return await writing
        except StoreUnavailable:
            about = {**about, "error.type": "unavailable"}
            raise
        finally:
            _duration.record(time.perf_counter() - began, about)

    async def insert(self, document: Document) -> None:
        await self._write("insert", self._collection.insert(document))

    async def insert_many(self, documents: Sequence[Document]) -> set[str]:
        return await self._write("insert_many", self._collection.insert_many(documents))

    async def insert_in_order(self, documents: Sequence[Document]) -> int:
        return await self._write("insert_in_order", self._collection.insert_in_order(documents))

    async def replace(self, document: Document, *, version: int) -> Document:
        return await self._write("replace", self._collection.replace(document, version=version))

    async def replace_many(self, documents: Sequence[Document]) -> None:
        await self._write("replace_many", self._collection.replace_many(documents))

    async def delete(self, id: str, *, version: int | None = None) -> bool:
        return await self._write("delete", self._collection.delete(id, version=version))

    async def get(self, id: str, *, linearizable: bool = False) -> Document | None:
        return await self._collection.get(id, linearizable=linearizable)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        return await self._collection.get_many(ids)

    async def find(self, field: str, value: str | bytes, *, after: str = "", limit: int = 1000) -> list[Document]:
        return await self._collection.find(field, value, after=after, limit=limit)

    def under(self, prefix: str, *, after: str = "", size: int = 1000) -> AsyncGenerator[list[Document]]:
        return self._collection.under(prefix, after=after, size=size)

    def scan(self, field: str | None = None, value: str | bytes | None = None, *, after: str = "") -> AsyncGenerator[list[Document]]:
        return self._collection.scan(field, value, after=after)

    async def count(self, field: str | None = None, value: str | bytes | None = None) -> int:
        return await self._collection.count(field, value)
