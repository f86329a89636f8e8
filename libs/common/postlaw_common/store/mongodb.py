"""The store on MongoDB, by PyMongo's own asyncio client (ADR 0002): the only module that knows it, with its errors (mongodb_errors.py).

Writes are acknowledged by a majority and journalled; `get(linearizable=True)` reads with read concern `linearizable`. A server
that has no read concerns (a MongoDB-wire server over another database, in tests) must be named as such in the URL,
`…?postlawReadConcern=local`: nothing falls back by itself. So must one that reads everything for a range of `_id`s,
`postlawIdRanges=read-all`: there a document of a collection that is read by ranges also names its own, in a field with an index.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from bson import Int64
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from pymongo import ASCENDING, AsyncMongoClient, ReadPreference, ReplaceOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern

from postlaw_common.store import AlreadyExists, CollectionSpec, Document, VersionConflict, end_of
from postlaw_common.store.mongodb_errors import as_unavailable, duplicates
from postlaw_common.store.packed import packed_document, unpacked_document

PAGE = 1000  # documents that `scan` hands out at once
BULK = 1000  # documents in one insert command
IN_ORDER = 100  # documents: behind one that is taken FerretDB leaves out the rest of this many, and goes on with the next
TIMEOUT_MS = 5000  # for one operation, retries within it
READ_CONCERN, ID_RANGES = "postlawReadConcern", "postlawIdRanges"
RANGE = "_range"  # "a/b/" of "a/b/c" where ranges have two parts; only where they are not served by an index of `_id`s


class PlainInt(TypeDecoder):
    """64-bit numbers come back as int, as they went in: a class of the driver's own must not leave this module."""

    @property
    def bson_type(self) -> type[Int64]:
        return Int64

    def transform_bson(self, value: int) -> int:
        return int(value)


TYPES = TypeRegistry([PlainInt()])
# With types of one's own the driver decodes in two steps, half of it in Python. A packed document has few fields for that: `_read` does it.
PACKED = CodecOptions[Document]()


def split_url(url: str) -> tuple[str, str, bool]:
    """The URL as the driver knows it; the read concern for linearizable reads: `linearizable`, or `local` by setting; whether
    ranges of `_id`s are served by an index."""
    base, _, query = url.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    concern = dict(options).get(READ_CONCERN, "linearizable")
    if concern not in ("linearizable", "local"):
        raise ValueError(f"{READ_CONCERN} in POSTLAW_STORE must be linearizable or local, not {concern!r}")
    ranges = dict(options).get(ID_RANGES, "indexed")
    if ranges not in ("indexed", "read-all"):
        raise ValueError(f"{ID_RANGES} in POSTLAW_STORE must be indexed or read-all, not {ranges!r}")
    rest = urlencode([option for option in options if option[0] not in (READ_CONCERN, ID_RANGES)])
    return (f"{base}?{rest}" if rest else base), concern, ranges == "indexed"


class MongoStore:
    """`database` is one service's own; a test may put a prefix before it by the URL's path."""

    def __init__(self, url: str, database: str) -> None:
        self._url, self._concern, self._ranges = split_url(url)
        self._database = database
        self._client: AsyncMongoClient[Document] | None = None
        self._collections: dict[str, MongoCollection] = {}

    async def start(self, collections: Sequence[CollectionSpec]) -> None:
        with as_unavailable(self._database):
            if self._client is None:
                self._client = AsyncMongoClient(
                    self._url,
                    type_registry=TYPES,
                    appname=f"postlaw-{self._database}",
                    serverSelectionTimeoutMS=TIMEOUT_MS,
                    timeoutMS=TIMEOUT_MS,
                )
            database = self._client[self._database]
            there = set(await database.list_collection_names())
            for spec in collections:
                if spec.name not in there:
                    await self._create(spec.name)
                collection = database.get_collection(
                    spec.name,
                    PACKED if spec.packed else None,
                    write_concern=WriteConcern(w="majority", j=True),
                    read_preference=ReadPreference.PRIMARY,
                )
                if spec.packed and spec.name in there:
                    await lift_out(collection, spec)
                for index in spec.indexes:
                    await self._index(collection, index.field, index.unique)
                by_id = self._ranges or spec.rarely
                if spec.range_parts and not by_id:
                    await self._index(collection, RANGE, unique=False)
                self._collections[spec.name] = MongoCollection(collection, spec, self._concern, ranges=by_id)

    async def _create(self, name: str) -> None:
        assert self._client is not None
        try:
            await self._client[self._database].create_collection(name, check_exists=False)  # whose refusal would tell no code
        except OperationFailure as error:
            if error.code != 48:  # NamespaceExists: another replica of this service was quicker
                raise

    async def _index(self, collection: AsyncCollection[Document], field: str, unique: bool) -> None:
        if unique:
            # Sparse: a document without the field takes no place in it, as the port says.
            await collection.create_index([(field, ASCENDING)], unique=True, sparse=True)
        else:
            await collection.create_index([(field, ASCENDING), ("_id", ASCENDING)])

    def collection(self, name: str) -> MongoCollection:
        return self._collections[name]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def lift_out(collection: AsyncCollection[Document], spec: CollectionSpec) -> None:
    """An index that a packed collection did not have takes in what is there: its field comes out of the packed ones."""
    indexed = {field for index in (await collection.index_information()).values() for field, _ in index["key"]}
    if all(index.field in indexed for index in spec.indexes):
        return
    async for document in collection.find({}):
        version = {"_id": document["_id"], "v": document["v"]}
        await collection.replace_one(version, packed_document(spec.name, unpacked_document(document), apart_of(spec)))


def apart_of(spec: CollectionSpec) -> frozenset[str]:
    """The fields that a packed document keeps beside the packed ones."""
    return frozenset(index.field for index in spec.indexes) | {"_id", "v", RANGE}


class MongoCollection:
    def __init__(self, collection: AsyncCollection[Document], spec: CollectionSpec, concern: str, *, ranges: bool = True) -> None:
        self._collection = collection
        self._spec = spec
        self._named_ranges = 0 if ranges else spec.range_parts
        self._linearizable = collection.with_options(read_concern=ReadConcern(concern))
        self._name = spec.name
        self._indexed = frozenset(index.field for index in spec.indexes)
        self._unique = frozenset(index.field for index in spec.indexes if index.unique)
        self._apart = apart_of(spec) if spec.packed else None

    async def insert(self, document: Document) -> None:
        with as_unavailable(self._name):
            try:
                await self._collection.insert_one(self._stored(first_version(document, self._unique)))
            except DuplicateKeyError as error:
                raise AlreadyExists(f"{self._name}/{document['_id']} is there already") from error

    async def insert_many(self, documents: Sequence[Document]) -> set[str]:
        existing: set[str] = set()
        for first in range(0, len(documents), BULK):
            part = [self._stored(first_version(document, self._unique)) for document in documents[first : first + BULK]]
            with as_unavailable(self._name):
                try:
                    await self._collection.insert_many(part, ordered=False)
                except BulkWriteError as error:
                    existing |= duplicates(error, part)
        return existing

    async def insert_in_order(self, documents: Sequence[Document]) -> int:
        for first in range(0, len(documents), IN_ORDER):
            part = [self._stored(first_version(document, self._unique)) for document in documents[first : first + IN_ORDER]]
            with as_unavailable(self._name):
                try:
                    await self._collection.insert_many(part, ordered=True)
                except BulkWriteError as error:
                    [taken] = duplicates(error, part)  # an ordered one ends with the first
                    return first + next(place for place, document in enumerate(part) if document["_id"] == taken)
        return len(documents)

    async def get(self, id: str, *, linearizable: bool = False) -> Document | None:
        with as_unavailable(self._name):
            found = await (self._linearizable if linearizable else self._collection).find_one({"_id": id})
            return None if found is None else self._read(found)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        wanted = {"_id": ids[0] if len(ids) == 1 else {"$in": list(ids)}}  # a single one needs no plan for many, on any server
        with as_unavailable(self._name):
            return {document["_id"]: self._read(document) async for document in self._collection.find(wanted)}

    async def replace(self, document: Document, *, version: int) -> Document:
        new = {**document, "v": version + 1}
        with as_unavailable(self._name):
            try:
                done = await self._collection.replace_one(
                    {"_id": document["_id"], "v": version}, self._stored(without_none(new, self._unique))
                )
            except DuplicateKeyError as error:
                raise AlreadyExists(f"{self._name}/{document['_id']}: a unique value is taken") from error
        if not done.matched_count:
            raise VersionConflict(f"{self._name}/{document['_id']} is not at version {version}")
        return new

    async def replace_many(self, documents: Sequence[Document]) -> None:
        for first in range(0, len(documents), BULK):
            writes = [
                ReplaceOne(
                    {"_id": document["_id"], "v": document["v"]},
                    self._stored(without_none({**document, "v": document["v"] + 1}, self._unique)),
                )
                for document in documents[first : first + BULK]
            ]
            with as_unavailable(self._name):
                await self._collection.bulk_write(writes, ordered=False)

    async def delete(self, id: str, *, version: int | None = None) -> bool:
        wanted: dict[str, Any] = {"_id": id} if version is None else {"_id": id, "v": version}
        with as_unavailable(self._name):
            if (await self._collection.delete_one(wanted)).deleted_count:
                return True
            if version is not None and await self._collection.find_one({"_id": id}, {"_id": True}) is not None:
                raise VersionConflict(f"{self._name}/{id} is not at version {version}")
        return False

    async def find(self, field: str, value: str | bytes, *, after: str = "", limit: int = 1000) -> list[Document]:
        wanted = self._equal(field, value)
        if after:
            wanted["_id"] = {"$gt": after}
        with as_unavailable(self._name):
            return self._all_read(await self._collection.find(wanted).sort("_id", ASCENDING).limit(limit).to_list())

    def under(self, prefix: str, *, after: str = "", size: int = PAGE) -> AsyncGenerator[list[Document]]:
        self._spec.check_range(prefix)
        if not self._named_ranges:
            wanted: dict[str, Any] = {"_id": {"$gt": max(after, prefix), "$lt": end_of(prefix)}}
        else:
            wanted = {RANGE: prefix, "_id": {"$gt": after}} if after else {RANGE: prefix}
        return self._pages(wanted, size)

    def scan(self, field: str | None = None, value: str | bytes | None = None, *, after: str = "") -> AsyncGenerator[list[Document]]:
        wanted = self._equal(field, value)
        return self._pages(wanted | {"_id": {"$gt": after}} if after else wanted, PAGE)

    async def _pages(self, wanted: dict[str, Any], size: int) -> AsyncGenerator[list[Document]]:
        with as_unavailable(self._name):
            # One cursor, so that the server goes through its index once; it may outlive a single operation's time.
            async with self._collection.find(wanted, batch_size=size).sort("_id", ASCENDING) as cursor:
                while page := await cursor.to_list(size):
                    yield self._all_read(page)

    async def count(self, field: str | None = None, value: str | bytes | None = None) -> int:
        with as_unavailable(self._name):
            return await self._collection.count_documents(self._equal(field, value))

    def _stored(self, document: Document) -> Document:
        if self._named_ranges:
            parts = document["_id"].split("/", self._named_ranges)
            if len(parts) > self._named_ranges and parts[-1]:
                document = {**document, RANGE: "/".join(parts[:-1]) + "/"}
        return packed_document(self._name, document, self._apart) if self._apart else document

    def _read(self, document: Document) -> Document:
        if self._named_ranges:
            document.pop(RANGE, None)
        if self._apart is None:
            return document
        for field in self._indexed:
            if type(value := document.get(field)) is Int64:
                document[field] = int(value)
        return unpacked_document(document)

    def _all_read(self, documents: list[Document]) -> list[Document]:
        return [self._read(document) for document in documents] if self._named_ranges or self._apart else documents

    def _equal(self, field: str | None, value: str | bytes | None) -> dict[str, Any]:
        if field is None:
            return {}
        if field not in self._indexed:
            raise KeyError(f"{self._name} has no index on {field}")
        return {field: value}


def first_version(document: Document, unique: frozenset[str]) -> Document:
    if type(document["_id"]) is not str:
        raise TypeError(f"_id must be a str, not {type(document['_id']).__name__}")
    return without_none({**document, "v": 1}, unique)


def without_none(document: Document, unique: frozenset[str]) -> Document:
    """A sparse index passes over what is absent, but not over None: such a field is left away, and reads back as absent."""
    for field in unique:
        if field in document and document[field] is None:
            del document[field]
    return document
