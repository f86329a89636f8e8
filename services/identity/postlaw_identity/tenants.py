"""Tenants in the store."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_identity.domain.tenant import Tenant

TENANTS = CollectionSpec("tenants", (OUTBOX_INDEX,))


class Tenants:
    def __init__(self, collection: Callable[[], Collection], outbox: Outbox) -> None:
        self._open = collection
        self._outbox = outbox

    async def insert(self, tenant: Tenant, announcement: Record) -> None:
        document: Document = {
            "_id": tenant.tenant_id,
            "name": tenant.name,
            "postal_address": tenant.postal_address,
            "created_us": tenant.created_us,
            "revision": tenant.version,
        }
        await self._open().insert(add_to_outbox(document, [announcement]))
        await self._outbox.publish_after_write(self._open(), document)

    async def get(self, tenant_id: str) -> Tenant | None:
        document = await self._open().get(tenant_id)
        if document is None:
            return None
        return Tenant(document["_id"], document["name"], document["postal_address"], document["created_us"], document["revision"])
