"""People as documents: one each, `_id` = tenant/address key, which nothing inside repeats. The person's document is the truth; members are
copies of it.

`revision` is the version that customers see (the store's own `v` also counts what they do not see). A person who is being deleted, or whose
address was changed, leaves a `gone` document until everything that hangs on them is removed. `moved` says where the person of a
subscriber id is, once their address has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import aclosing

import msgspec

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.ordered_text import to_bytes
from postlaw_common.outbox import OUTBOX_INDEX
from postlaw_common.store import Collection, CollectionSpec, Document, Store
from postlaw_common.store.bulk import bulk_insert
from postlaw_common.store.changing import put
from postlaw_subscribers.domain.person import KEY_BYTES, Person, Profile, made_under
from postlaw_subscribers.person_keys import LANGUAGE, PROFILE, Keys, document_id, place

DATABASE = "subscribers"
PEOPLE = CollectionSpec("people", (OUTBOX_INDEX,), range_parts=1, rarely=True, packed=True)
MOVED = CollectionSpec("moved")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, dict[str, str]]).decode


def pack_profile(address: str, fields: Mapping[str, str]) -> bytes:
    return _encode((address, fields))


def unpack_profile(packed: bytes) -> tuple[str, dict[str, str]]:
    """(address, fields)"""
    return _decode(packed)


def seal_profile(person: Person, keys: Keys) -> bytes:
    packed = pack_profile(person.profile.address, person.profile.fields)
    return seal(keys.profile, packed, place(person.tenant_id, person.address_key, PROFILE))


def seal_language(person: Person, keys: Keys) -> bytes:
    """Empty where the person chose none."""
    if not person.language:
        return b""
    return seal(keys.profile, person.language.encode(), place(person.tenant_id, person.address_key, LANGUAGE))


def open_language(document: Document, keys: Keys, where: bytes) -> str:
    sealed: bytes = document.get("language", b"")
    return open_sealed(keys.profile, sealed, where).decode() if sealed else ""


def to_document(person: Person, keys: Keys) -> Document:
    return {
        "_id": document_id(person.tenant_id, person.address_key),
        "subscriber_id": person.subscriber_id,
        "profile": seal_profile(person, keys),
        "language": seal_language(person, keys),
        "list_ids": list(person.list_ids),
        "created_us": person.created_us,
        "updated_us": person.updated_us,
        "revision": person.version,
    }


def from_document(document: Document, keys: Keys) -> Person:
    """Raises SealBroken."""
    tenant_id, address_key = tenant_of(document), address_key_of(document)
    address, fields = unpack_profile(open_sealed(keys.profile, document["profile"], place(tenant_id, address_key, PROFILE)))
    return Person(
        tenant_id=tenant_id,
        address_key=address_key,
        subscriber_id=document["subscriber_id"],
        profile=Profile(address, fields),
        list_ids=tuple(document["list_ids"]),
        created_us=document["created_us"],
        updated_us=document["updated_us"],
        version=document["revision"],
        language=open_language(document, keys, place(tenant_id, address_key, LANGUAGE)),
    )


def tenant_of(document: Document) -> str:
    return document["_id"].partition("/")[0]


def address_key_of(document: Document) -> bytes:
    return to_bytes(document["_id"].rpartition("/")[2])


def is_gone(document: Document) -> bool:
    return bool(document.get("gone"))


class People:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def documents(self) -> Collection:
        return self._store.collection(PEOPLE.name)

    async def insert(self, documents: Iterable[Document]) -> set[str]:
        """Those who are new; returns the ids of those who were there already."""
        return await bulk_insert(self.documents, documents)

    async def page(self, tenant_id: str, after: str, size: int) -> list[Document]:
        """Of this customer's people, gone or not, beginning after the document of that name."""
        async with aclosing(self.documents.under(f"{tenant_id}/", after=after, size=size)) as pages:
            return await anext(pages, [])

    async def by_key(self, tenant_id: str, address_key: bytes) -> Document | None:
        """The document of whoever has this address key, gone or not."""
        return await self.documents.get(document_id(tenant_id, address_key))

    async def by_beginning(self, tenant_id: str, beginning: bytes) -> Document | None:
        """The document of the one whose address key begins so, gone or not. A beginning has 13 bytes or more: 96 bits of a digest."""
        [*found] = await self.page(tenant_id, document_id(tenant_id, beginning.ljust(KEY_BYTES, b"\0")), 1)
        return found[0] if found and address_key_of(found[0]).startswith(beginning) else None

    async def by_id(self, tenant_id: str, subscriber_id: str) -> Document | None:
        """The document of a living person of this tenant, also after their address has changed."""
        made = made_under(subscriber_id)
        if made is None:
            return None
        document = await self.by_key(tenant_id, made)
        if document is None or is_gone(document) or document["subscriber_id"] != subscriber_id:
            moved = await self._store.collection(MOVED.name).get(f"{tenant_id}/{subscriber_id}")
            document = await self.by_key(tenant_id, moved["address_key"]) if moved else None
        if document is None or is_gone(document) or document["subscriber_id"] != subscriber_id:
            return None
        return document

    async def point(self, tenant_id: str, subscriber_id: str, address_key: bytes) -> None:
        """From now on this id leads to that address key."""
        moved = self._store.collection(MOVED.name)
        fresh: Document = {"_id": f"{tenant_id}/{subscriber_id}", "address_key": address_key}
        await put(moved, fresh)

    async def forget_pointer(self, tenant_id: str, subscriber_id: str, address_key: bytes) -> None:
        """Removes the pointer of an id, if it leads to this address key: after a move it leads on to the next."""
        moved = self._store.collection(MOVED.name)
        known = await moved.get(f"{tenant_id}/{subscriber_id}", linearizable=True)
        if known is not None and known["address_key"] == address_key:
            await moved.delete(known["_id"])
