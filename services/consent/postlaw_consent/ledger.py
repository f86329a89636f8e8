"""The ledger: one document an event, never changed in what it says, only in the note of where it was published.

`_id` = tenant/partition/address key/version: a partition is a range of ids, person by person, and the optimistic insert of the next
version is a person's only lock: two writers that read the same history cannot both append to it. A withdrawal carries its own outbox mark
`pending` until it has been published, then its `offset`; consents come in bulk and share an intent document instead (intents.py).

A campaign reads the whole ledger of its customer, so a document has few fields: `event`, the bytes that are published, and `fact`, what the
gate needs of them in one text (domain/fact.py), by which people are decided on without an event being parsed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from postlaw_common.ordered_text import to_text
from postlaw_common.placement import Placement
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index
from postlaw_common.store.bulk import bulk_insert
from postlaw_common.together import Together
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.domain.fact import Fact, fact_of, text_of

LEDGER = CollectionSpec("ledger", (Index("pending"),), range_parts=2, packed=True)

PENDING = "1"
FIRST_VERSIONS = 3  # most people have given a consent or two, and perhaps withdrawn it
_DOCUMENTS = 300  # asked for at a time
LOOKING_S = 0.25  # between two look-ups behind answers
NOTING_S = 0.25  # between two notes of offsets, behind answers: after a crash the relay publishes again what was not noted


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, its bytes as they stand everywhere, and the partition in which it belongs."""

    event: ConsentEvent
    data: bytes
    partition: int


@dataclass(frozen=True, slots=True)
class Line:
    """A ledger document as it was read. `offset`: where it was published, in which `generation` of the topics;
    None while not noted. `call`: its intent, "" for none."""

    fact: Fact
    partition: int
    offset: int | None
    generation: str
    call: str
    document: Document
    decode: Callable[[bytes], ConsentEvent]

    @property
    def data(self) -> bytes:
        return self.document["event"]

    @property
    def text(self) -> str:
        """What the gate needs of the event (domain/fact.py)."""
        return self.document["fact"]

    def event(self) -> ConsentEvent:
        """The whole event, parsed anew with each call: most who read a history need only the facts."""
        return self.decode(self.data)


class Ledger:
    """`encode` and `decode` are the wire's; `collection` the ledger's, opened by the runner."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        encode: Callable[[ConsentEvent], bytes],
        decode: Callable[[bytes], ConsentEvent],
        placement: Callable[[], Placement],
    ) -> None:
        self._collection = collection
        self._encode = encode
        self._decode = decode
        self._placement = placement
        self._inserting: Together[Document, bool] = Together(self._insert)
        self._looking: Together[str, bool] = Together(self._are_there, apart_s=LOOKING_S)
        self._noting: Together[Document, None] = Together(self._note, apart_s=NOTING_S)
        self._published: dict[str, tuple[int, str]] = {}  # offset and generation, by `_id`, until they are noted

    def entry(self, event: ConsentEvent) -> Entry:
        return Entry(event, self._encode(event), self.partition_of(event.tenant_id, event.address_key))

    def partition_of(self, tenant_id: str, address_key: bytes) -> int:
        return self._placement().partition(tenant_id, address_key)

    @property
    def partitions(self) -> int:
        return self._placement().partitions

    def _begin_of(self, tenant_id: str, address_key: bytes) -> str:
        """What the ids of a person's documents begin with."""
        return begin_of(tenant_id, self.partition_of(tenant_id, address_key), address_key)

    async def append(self, entry: Entry) -> Line:
        """One event, marked as not yet published. Raises AlreadyExists when the person has that version already."""
        document = document_of(entry)
        document["pending"] = PENDING
        if not await self._inserting(document):
            raise AlreadyExists(f"the person has version {entry.event.version} already")
        return self._line_of(document)

    async def _insert(self, documents: Sequence[Document]) -> list[bool]:
        """Which are in. Of those with the same `_id` only the first can be."""
        new = {document["_id"]: document for document in reversed(documents)}
        taken = await self._collection().insert_many([dict(document) for document in new.values()])
        return [new[document["_id"]] is document and document["_id"] not in taken for document in documents]

    async def is_next(self, line: Line) -> bool:
        """Whether the version before this line's is there: else whoever reads the person's history never comes to it. Asked about many
        within LOOKING_S, it is one look-up."""
        version = line.fact.version
        return version == 1 or await self._looking(id_of(person_in(line.document), version - 1))

    async def _are_there(self, ids: Sequence[str]) -> list[bool]:
        found = await self._collection().get_many(ids)
        return [id in found for id in ids]

    async def append_documents(self, documents: Iterable[Document], call: str) -> set[str]:
        """At most one event a person; `call` names their intent. Returns the `_id`s whose version was taken."""
        return await bulk_insert(self._collection(), (_of_call(document, call) for document in documents))

    async def append_in_order(self, documents: Sequence[Document], call: str) -> set[str]:
        """As above, with several events a person, each behind the one before: of a person there is never a version without those
        before it. Returns the `_id`s of the first whose version was taken and of all behind it, which are not in."""
        inserted = await self._collection().insert_in_order([_of_call(document, call) for document in documents])
        return {document["_id"] for document in documents[inserted:]}

    async def history(self, tenant_id: str, address_key: bytes) -> list[Line]:
        """A person's events in the order of their versions."""
        return (await self.histories(tenant_id, [address_key]))[address_key]

    async def histories(self, tenant_id: str, address_keys: Iterable[bytes], *, at_most: int = 0) -> dict[bytes, list[Line]]:
        """The same of many; of the first `at_most` events at least, where that is not 0. Versions have no gaps, so names tell where
        everything is, and no index by person has to be kept."""
        found: dict[bytes, list[Line]] = {address_key: [] for address_key in address_keys}
        persons = {address_key: self._begin_of(tenant_id, address_key) for address_key in found}
        open, first, count = list(found), 1, FIRST_VERSIONS
        while open and not (at_most and first > at_most):
            following: list[bytes] = []
            people = max(1, _DOCUMENTS // count)
            for begin in range(0, len(open), people):
                some = open[begin : begin + people]
                documents = await self._collection().get_many(
                    [id_of(persons[address_key], version) for address_key in some for version in range(first, first + count)]
                )
                for address_key in some:
                    lines = found[address_key]
                    person = persons[address_key]
                    for version in range(first, first + count):
                        document = documents.get(id_of(person, version))
                        if document is None:
                            break
                        lines.append(self._line_of(document))
                    else:
                        following.append(address_key)
            open, first, count = following, first + count, min(count * 4, _DOCUMENTS)
        return found

    async def pages(self, tenant_id: str, address_key: bytes, *, after_version: int) -> AsyncGenerator[list[Line]]:
        """What came after that version, in pages: one event first, for mostly there is nothing more."""
        limit = 1
        while lines := await self.page(tenant_id, address_key, after_version=after_version, limit=limit):
            yield lines
            if len(lines) < limit:
                return
            after_version += limit
            limit = _DOCUMENTS

    def name_of(self, tenant_id: str, address_key: bytes) -> str:
        """A person's name in documents: what the ids of their events begin with."""
        return self._begin_of(tenant_id, address_key)

    async def page(self, tenant_id: str, address_key: bytes, *, after_version: int, limit: int) -> list[Line]:
        """Part of a history, of a few hundred events at most; up to the first that is not there, for the one behind it may have come
        in while these were read."""
        person = self._begin_of(tenant_id, address_key)
        names = [id_of(person, version) for version in range(after_version + 1, after_version + 1 + limit)]
        found = await self._collection().get_many(names)
        return [self._line_of(found[name]) for name in takewhile(found.__contains__, names)]

    def partition(self, tenant_id: str, partition: int) -> AsyncGenerator[list[Document]]:
        """All documents of a tenant in one partition, in pages, person by person. To be closed by whoever leaves off."""
        return self._collection().under(in_partition(tenant_id, partition))

    async def fence(self) -> None:
        """Returns once the store has proved that it still leads: reads that follow see every write acknowledged before the call.

        A deposed leader would otherwise serve a partition scan without the newest withdrawals, and nobody would notice."""
        await self._collection().get("fence", linearizable=True)

    async def by_ids(self, ids: Sequence[str]) -> list[Line]:
        found = await self._collection().get_many(ids)
        return [self._line_of(document) for document in found.values()]

    async def pending(self, *, after: str, limit: int) -> list[Line]:
        return [self._line_of(document) for document in await self._collection().find("pending", PENDING, after=after, limit=limit)]

    async def note_published(self, published: Iterable[tuple[Line, int]], generation: str) -> None:
        """Puts the offsets in the marks' place. Whoever comes second leaves them as they are."""
        await self._note([_noted(line, offset, generation) for line, offset in published])

    async def note_soon(self, line: Line, offset: int, generation: str) -> None:
        """The same of one, in one write with all others of NOTING_S."""
        id = line.document["_id"]
        self._published[id] = offset, generation
        try:
            await self._noting(_noted(line, offset, generation))
        finally:
            self._published.pop(id, None)

    async def _note(self, documents: Sequence[Document]) -> list[None]:
        if documents:
            await self._collection().replace_many(documents)
        return [None] * len(documents)

    def _line_of(self, document: Document) -> Line:
        offset, generation = document.get("offset"), document.get("generation", "")
        if offset is None:
            offset, generation = self._published.get(document["_id"], (None, ""))
        return Line(
            fact=fact_of(int(document["_id"][-8:]), document["fact"]),
            partition=int(person_in(document).split("/")[-2]),
            offset=offset,
            generation=generation,
            call=document.get("call", ""),
            document=document,
            decode=self._decode,
        )


def _noted(line: Line, offset: int, generation: str) -> Document:
    document = {name: value for name, value in line.document.items() if name != "pending"}
    return {"v": 1, **document, "offset": offset, "generation": generation}


def _of_call(document: Document, call: str) -> Document:
    document["call"] = call
    return document


def id_of(begin: str, version: int) -> str:
    """`begin`: what the ids of the person's documents begin with."""
    return f"{begin}/{version:08d}"


@lru_cache(4096)
def in_partition(tenant_id: str, partition: int) -> str:
    """What the ids of a tenant's documents in one partition begin with."""
    return f"{tenant_id}/{partition:04d}/"


def begin_of(tenant_id: str, partition: int, address_key: bytes) -> str:
    return in_partition(tenant_id, partition) + to_text(address_key)


def document_of(entry: Entry) -> Document:
    event = entry.event
    return {
        "_id": id_of(begin_of(event.tenant_id, entry.partition, event.address_key), event.version),
        "fact": text_of(event),
        "event": entry.data,
    }


def person_in(document: Document) -> str:
    """The person of a ledger document: its `_id` without the version."""
    return document["_id"][:-9]
