"""Members: one document for each person on a list, laid out so that an audience is read by one scan of a range.

`copy` holds the edition of the person that it shows (generation, 2 bytes; revision, 8 bytes), then an AudiencePeople of this one person,
the very bytes that are streamed, sealed under the customer's key: one decryption a person. What can be opened without the person's own key
belongs where keys belong: the collection lies in the database of keys, with whose backups it lapses; it can be made again from people and
keys. `_id` = list/partition/address key: an audience is a range of ids, ascending by address key, without an index beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from functools import lru_cache

from postlaw_common.ordered_text import to_bytes, to_text
from postlaw_common.placement import Placement
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Store, VersionConflict
from postlaw_common.store.bulk import bulk_insert
from postlaw_subscribers.domain.person import Person
from postlaw_subscribers.person_keys import Wrapping

MEMBERS = CollectionSpec("members", range_parts=2)

_REVISION_BYTES = 8
_EDITION_BYTES = 2 + _REVISION_BYTES

Encode = Callable[[bytes, str, str, Mapping[str, str]], bytes]
"""(address_key, subscriber_id, address, fields) → an AudiencePeople of one; wire.py's."""


@lru_cache(4096)
def audience(list_id: str, partition: int) -> str:
    return f"{list_id}/{partition:04d}/"


def member_id(list_id: str, partition: int, address_key: bytes) -> str:
    return audience(list_id, partition) + to_text(address_key)


def address_key_of(document: Document) -> bytes:
    return to_bytes(document["_id"].rpartition("/")[2])


def to_member(list_id: str, partition: int, address_key: bytes, edition: bytes, people: bytes, wrapping: Wrapping) -> Document:
    """`people`: what `Encode` made. Bound to its list, too: moved to another one it cannot be opened."""
    return {
        "_id": member_id(list_id, partition, address_key),
        "copy": edition + wrapping.wrap(people, address_key, _purpose(list_id)),
    }


@lru_cache(256)
def edition_of(generation: int, revision: int) -> bytes:
    """Grows with each change of whoever is under an address key, and from one person there to the next."""
    return generation.to_bytes(2, "big") + revision.to_bytes(_REVISION_BYTES, "big")


def opener(list_id: str, wrapping: Wrapping) -> Callable[[bytes, Document], bytes]:
    """A function that opens members of this list: (address_key, document) → an AudiencePeople of one. It raises SealBroken."""
    purpose, unwrap = _purpose(list_id), wrapping.unwrap
    return lambda address_key, document: unwrap(document["copy"][_EDITION_BYTES:], address_key, purpose)


@lru_cache(256)
def _purpose(list_id: str) -> bytes:
    return b"member/" + list_id.encode()


class Members:
    def __init__(self, store: Store, encode: Encode, placement: Callable[[], Placement]) -> None:
        self.encode = encode
        self._store = store
        self._placement = placement

    async def insert(self, documents: Iterable[Document]) -> set[str]:
        return await bulk_insert(self._documents(), documents)

    def pages(self, list_id: str, partition: int, after: bytes, size: int) -> AsyncGenerator[list[Document]]:
        """Ascending by address key, beginning after `after`. To be closed by whoever leaves off."""
        following = member_id(list_id, partition, after) if after else ""
        return self._documents().under(audience(list_id, partition), after=following, size=size)

    async def copy(self, person: Person, generation: int, wrapping: Wrapping) -> None:
        """Brings the copies of a person in step with what is given here; a copy of a later edition stays."""
        edition = edition_of(generation, person.version)
        people = self.encode(person.address_key, person.subscriber_id, person.profile.address, person.profile.fields)
        partition = self._placement().partition(person.tenant_id, person.address_key)
        for list_id in person.list_ids:
            fresh = to_member(list_id, partition, person.address_key, edition, people, wrapping)
            while True:
                known = await self._documents().get(fresh["_id"], linearizable=True)
                if known is not None and known["copy"][:_EDITION_BYTES] >= edition:
                    break
                with contextlib.suppress(AlreadyExists, VersionConflict):
                    if known is None:
                        await self._documents().insert(fresh)
                    else:
                        await self._documents().replace(fresh, version=known["v"])
                    break

    async def remove(self, tenant_id: str, address_key: bytes, list_ids: Iterable[str]) -> None:
        partition = self._placement().partition(tenant_id, address_key)
        for list_id in list_ids:
            await self._documents().delete(member_id(list_id, partition, address_key))

    def _documents(self) -> Collection:
        return self._store.collection(MEMBERS.name)
