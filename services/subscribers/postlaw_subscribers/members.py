"""Members: one document for each person on a list, laid out so that an audience is read by one index scan a page.

It carries a copy of the sealed profile and of the wrapped profile key: two gets a person would cost many times as much. Because of that
copy the collection lies in the database of keys, with whose backups it lapses; it can be made again from people and keys. `audience`
= list/partition, `_id` = list/address key, so a page is ascending by address key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postlaw_common.crypto import open_sealed
from postlaw_common.placement import Placement
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, Store, VersionConflict
from postlaw_subscribers.people import unpack_profile
from postlaw_subscribers.person_keys import PROFILE, Wrapping, place

MEMBERS = CollectionSpec("members", (Index("audience"),))


@dataclass(frozen=True, slots=True)
class Member:
    address_key: bytes
    subscriber_id: str
    address: str
    fields: dict[str, str]


def audience(list_id: str, partition: int) -> str:
    return f"{list_id}/{partition:04d}"


def member_id(list_id: str, address_key: bytes) -> str:
    return f"{list_id}/{address_key.hex()}"


def to_member(list_id: str, partition: int, person: Document, wrapped_profile_key: bytes) -> Document:
    return {
        "_id": member_id(list_id, person["address_key"]),
        "audience": audience(list_id, partition),
        "address_key": person["address_key"],
        "subscriber_id": person["subscriber_id"],
        "profile": person["profile"],
        "key": wrapped_profile_key,
        "revision": person["revision"],
    }


def open_member(document: Document, wrapping: Wrapping) -> Member:
    """Raises SealBroken."""
    address_key = document["address_key"]
    key = wrapping.unwrap(document["key"], address_key, PROFILE)
    address, fields = unpack_profile(open_sealed(key, document["profile"], place(wrapping.tenant_id, address_key, PROFILE)))
    return Member(address_key, document["subscriber_id"], address, fields)


class Members:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def insert(self, documents: Sequence[Document]) -> set[str]:
        return await self._documents().insert_many(documents)

    async def page(self, list_id: str, partition: int, after: bytes, limit: int) -> list[Document]:
        following = member_id(list_id, after) if after else ""
        return await self._documents().find("audience", audience(list_id, partition), after=following, limit=limit)

    async def copy(self, person: Document, wrapped_profile_key: bytes, placement: Placement) -> None:
        """Brings the copies of a person's document in step with it; a copy of a later revision stays."""
        partition = placement.partition(person["tenant_id"], person["address_key"])
        for list_id in person["list_ids"]:
            fresh = to_member(list_id, partition, person, wrapped_profile_key)
            while True:
                known = await self._documents().get(fresh["_id"], linearizable=True)
                if known is not None and _newer_or_same(known, fresh):
                    break
                with contextlib.suppress(AlreadyExists, VersionConflict):
                    if known is None:
                        await self._documents().insert(fresh)
                    else:
                        await self._documents().replace(fresh, version=known["v"])
                    break

    async def remove(self, address_key: bytes, list_ids: Iterable[str]) -> None:
        for list_id in list_ids:
            await self._documents().delete(member_id(list_id, address_key))

    def _documents(self) -> Collection:
        return self._store.collection(MEMBERS.name)


def _newer_or_same(known: Document, fresh: Document) -> bool:
    """A copy of another person under the same key (another subscriber id) is always replaced."""
    return known["subscriber_id"] == fresh["subscriber_id"] and known["revision"] >= fresh["revision"]
