"""Lists as documents: `_id` = tenant/list id."""

from __future__ import annotations

from postlaw_common.made_once import MADE_UNDER
from postlaw_common.outbox import OUTBOX_INDEX
from postlaw_common.store import Collection, CollectionSpec, Document, Index, Store
from postlaw_subscribers.domain.person import MailingList

LISTS = CollectionSpec("lists", (OUTBOX_INDEX, Index("tenant_id"), MADE_UNDER))


def to_document(list_: MailingList) -> Document:
    return {
        "_id": f"{list_.tenant_id}/{list_.list_id}",
        "tenant_id": list_.tenant_id,
        "list_id": list_.list_id,
        "name": list_.name,
        "description": list_.description,
        "created_us": list_.created_us,
        "revision": list_.version,
        "brand": list_.brand,
        "profile_fields": list(list_.profile_fields),
        "time_zone": list_.time_zone,
    }


def from_document(document: Document) -> MailingList:
    return MailingList(
        tenant_id=document["tenant_id"],
        list_id=document["list_id"],
        name=document["name"],
        description=document["description"],
        created_us=document["created_us"],
        version=document["revision"],
        brand=document.get("brand", ""),  # as before there were any
        profile_fields=tuple(document.get("profile_fields", ())),
        time_zone=document.get("time_zone", ""),
    )


class Lists:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def documents(self) -> Collection:
        return self._store.collection(LISTS.name)

    async def get(self, tenant_id: str, list_id: str) -> MailingList | None:
        document = await self.documents.get(f"{tenant_id}/{list_id}")
        return from_document(document) if document else None

    async def page(self, tenant_id: str, after: str, limit: int) -> list[MailingList]:
        found = await self.documents.find("tenant_id", tenant_id, after=f"{tenant_id}/{after}" if after else "", limit=limit)
        return [from_document(document) for document in found]
