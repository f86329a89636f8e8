"""Tenants in the store. `revision` is the version that others see."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_identity.domain.tenant import SenderIdentity, Tenant

TENANTS = CollectionSpec("tenants", (OUTBOX_INDEX,))


class Tenants:
    def __init__(self, collection: Callable[[], Collection], outbox: Outbox) -> None:
        self._open = collection
        self._outbox = outbox

    async def insert(self, tenant: Tenant, announcement: Record) -> None:
        document = add_to_outbox(_to_document(tenant), [announcement])
        await self._open().insert(document)
        await self._outbox.publish_after_write(self._open(), document)

    async def get(self, tenant_id: str) -> Tenant | None:
        found = await self.read(tenant_id)
        return found[0] if found else None

    async def read(self, tenant_id: str) -> tuple[Tenant, Document] | None:
        """The tenant, and its document as it was read, for `replace`."""
        document = await self._open().get(tenant_id)
        return (_from_document(document), document) if document else None

    async def replace(self, tenant: Tenant, read: Document, announcement: Record) -> None:
        """Raises VersionConflict where somebody wrote in between."""
        changed = {**read, **_to_document(tenant)}
        document = await self._open().replace(add_to_outbox(changed, [announcement]), version=read["v"])
        await self._outbox.publish_after_write(self._open(), document)


def _to_document(tenant: Tenant) -> Document:
    sender = tenant.sender_identity
    return {
        "_id": tenant.tenant_id,
        "name": tenant.name,
        "postal_address": tenant.postal_address,
        "created_us": tenant.created_us,
        "sender_identity": [sender.territory, sender.kind, sender.time_zone, sender.contact],
        "revision": tenant.version,
    }


def _from_document(document: Document) -> Tenant:
    return Tenant(
        tenant_id=document["_id"],
        name=document["name"],
        postal_address=document["postal_address"],
        created_us=document["created_us"],
        sender_identity=SenderIdentity(*document.get("sender_identity", ())),  # a tenant made before there was one has none
        version=document["revision"],
    )
