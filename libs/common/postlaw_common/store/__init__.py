"""The store: documents with declared indexes, one document the unit of atomicity (ADR: no multi-document transactions).

A document is a dict with string keys: `_id` (str), `v` (int, its version, kept by the store: 1 when inserted, +1 at each
replace), and values of None, bool, int, float, str, bytes, list or dict. Indexes are on one top-level field, by equality;
pages run in ascending order of `_id`. `open_store` chooses the adapter by URL.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Document = dict[str, Any]

LARGEST = 16 << 20  # bytes of a document, packed: MongoDB's own limit


@dataclass(frozen=True, slots=True)
class Index:
    """An equality index on one top-level field (a str or bytes value; absent or None: not indexed).

    A None under a unique index may read back as absent."""

    field: str
    unique: bool = False


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection as its service needs it. Declared where it is used, ensured when the service starts.

    `range_parts`: with how many parts, each with its "/", the `_id`s begin that `under` reads together; 0: it is not read so.
    `rarely`: so seldom that a server which does not read ranges of `_id`s by itself keeps no index for them.
    `packed`: documents so many that each field costs: all but those of an index are one field of the database (ADR 17). An index that
    is added later takes in what is there at the next start, but nothing that a process of the release before writes after it."""

    name: str
    indexes: tuple[Index, ...] = ()
    range_parts: int = 0
    rarely: bool = False
    packed: bool = False

    def check_range(self, prefix: str) -> None:
        """Raises KeyError where `under` may not be asked with this."""
        if not prefix.endswith("/") or prefix.count("/") != self.range_parts:
            raise KeyError(f"{self.name} is not read by ranges like {prefix!r}")


class StoreUnavailable(Exception):
    """The store cannot be reached, or did not answer in time. A write that was under way may have happened, or not."""


class StoreRefused(Exception):
    """The store does not take this document, now or ever: it is larger than LARGEST, or holds what no store can. Nothing was written
    of it. Trying again changes nothing, so this is no outage."""


class AlreadyExists(Exception):
    """A document with this `_id` (or a value of a unique index) is there already."""


class VersionConflict(Exception):
    """The document is not at the version that the writer had read, or is gone."""


class Collection(Protocol):
    async def insert(self, document: Document) -> None:
        """Durable when it returns (w: majority, j; fsync). Raises AlreadyExists, StoreRefused."""
        ...

    async def insert_many(self, documents: Sequence[Document]) -> set[str]:
        """Inserts what is new; returns the `_id`s of those that were there already (by `_id` or unique index), untouched.

        Raises StoreRefused for any one of them: of the others some may be inserted."""
        ...

    async def insert_in_order(self, documents: Sequence[Document]) -> int:
        """Inserts them up to the first that is there already (by `_id` or unique index); returns how many are in.

        At no instant, a crash and a failure of this call included, is one there without all before it. Raises as `insert_many`."""
        ...

    async def get(self, id: str, *, linearizable: bool = False) -> Document | None:
        """The document, or None. `linearizable`: reflects every write acknowledged before the call, whoever made it."""
        ...

    async def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """Those that exist, by `_id`. For up to a few hundred; a bulk path reads by index instead."""
        ...

    async def replace(self, document: Document, *, version: int) -> Document:
        """Replaces the document at exactly this version; returns it with its new `v`. Raises VersionConflict, AlreadyExists,
        StoreRefused."""
        ...

    async def replace_many(self, documents: Sequence[Document]) -> None:
        """Replaces each that is still at the version which it names as its `v`, as it was read, and leaves the others alone.

        Each is a write of its own, in no order. None may change a unique value: where one is taken, the call fails. Raises StoreRefused for
        any one of them: of the others some may be replaced."""
        ...

    async def delete(self, id: str, *, version: int | None = None) -> bool:
        """True when it was there. Raises VersionConflict when `version` is given and differs."""
        ...

    async def find(self, field: str, value: str | bytes, *, after: str = "", limit: int = 1000) -> list[Document]:
        """A page of those whose indexed field equals value, ascending by `_id`, beginning after `after`."""
        ...

    def under(self, prefix: str, *, after: str = "", size: int = 1000) -> AsyncGenerator[list[Document]]:
        """All whose `_id` begins with `prefix` and goes on, ascending by `_id`, beginning after `after`, in pages of `size`.

        Where an `_id` can be made so that what is read together lies together, it saves the writes of an index. Every document
        whose write was acknowledged before the first page was asked for is in it. One cursor of the server, and no more of it in
        memory than a page: whoever leaves off closes it (`aclosing`). Raises StoreUnavailable also amid the pages, as when the
        server was started anew: then begin again after the last one."""
        ...

    def scan(self, field: str | None = None, value: str | bytes | None = None, *, after: str = "") -> AsyncGenerator[list[Document]]:
        """All of them (or all with that indexed value) in pages, ascending by `_id`, beginning after `after`, in constant memory.
        To be closed by whoever leaves off."""
        ...

    async def count(self, field: str | None = None, value: str | bytes | None = None) -> int: ...


class Store(Protocol):
    """One service's own database."""

    async def start(self, collections: Sequence[CollectionSpec]) -> None:
        """Opens it and ensures the collections and indexes."""
        ...

    def collection(self, name: str) -> Collection:
        """A collection that `start` was told of; KeyError otherwise."""
        ...

    async def close(self) -> None: ...


def end_of(prefix: str) -> str:
    """The first text after all that begin with this one, which is not empty."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def open_store(url: str, database: str, *, state: str) -> Store:
    """The database that a URL and a name mean, not yet started: `sqlite:` (a file below `state`) or `mongodb://…`."""
    if url.startswith("sqlite:"):
        from postlaw_common.store.embedded import EmbeddedStore

        return EmbeddedStore(state, database)
    if url.startswith(("mongodb://", "mongodb+srv://")):
        from postlaw_common.store.mongodb import MongoStore

        return MongoStore(url, database)
    raise ValueError(f"POSTLAW_STORE is {url!r}; it must begin with 'sqlite:' or 'mongodb://'")
