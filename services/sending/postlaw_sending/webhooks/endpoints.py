"""Webhooks in the store, and the secrets that they are signed with, sealed under the customer's key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import Conflict, NotFound
from postlaw_common.ids import new_id
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.webhooks.signing import new_secret

WEBHOOKS = CollectionSpec("webhooks", (Index("tenant_id"),))
MOST: Final = 10  # of a customer
OVERLAP_US: Final = 24 * 3600 * 1_000_000
_PURPOSE: Final = "webhooks"


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secrets`: the newest first, each with the customer key's version, itself sealed, and when it ends (0: not yet).
    `event_types`: of what it is told, none of everything. Times in microseconds since the epoch."""

    id: str
    tenant_id: str
    url: str
    created_at_us: int
    secrets: tuple[tuple[int, bytes, int], ...] = ()
    disabled_because: str = ""
    event_types: tuple[str, ...] = ()
    version: int = 0

    def wants(self, type: str) -> bool:
        return not self.disabled_because and (not self.event_types or type in self.event_types)


class Webhooks:
    """`collection`: `webhooks` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], customers: CustomerKeys, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._customers = customers
        self._now_us = now_us

    async def create(self, tenant_id: str, url: str, event_types: Sequence[str]) -> tuple[Webhook, bytes]:
        """With its secret. Raises Conflict where there are many already."""
        if await self._open().count("tenant_id", tenant_id) >= MOST:
            raise Conflict(f"There are {MOST} webhooks already; delete one first.")
        made = Webhook(new_id("whk"), tenant_id, url, self._now_us(), event_types=tuple(event_types))
        kept, secret = await self._with_secret(made)
        await self._open().insert(_to_document(kept))
        return kept, secret

    async def of_tenant(self, tenant_id: str) -> list[Webhook]:
        return [_from_document(document) for document in await self._open().find("tenant_id", tenant_id, limit=MOST)]

    async def get(self, id: str, tenant_id: str) -> Webhook:
        """Raises NotFound, also for another customer's."""
        found = await self.find(id)
        if found is None or found.tenant_id != tenant_id:
            raise NotFound(f"There is no webhook {id}.")
        return found

    async def find(self, id: str) -> Webhook | None:
        document = await self._open().get(id, linearizable=True)
        return _from_document(document) if document else None

    async def delete(self, id: str) -> None:
        await self._open().delete(id)

    async def rotate(self, webhook: Webhook) -> tuple[Webhook, bytes]:
        kept, secret = await self._with_secret(webhook)
        return await self._replace(kept), secret

    async def able(self, webhook: Webhook, because: str) -> Webhook:
        """Disabled for this reason, or ("") sent to again."""
        return await self._replace(replace(webhook, disabled_because=because))

    async def told_of(self, webhook: Webhook, event_types: Sequence[str]) -> Webhook:
        return await self._replace(replace(webhook, event_types=tuple(event_types)))

    async def keys(self, webhook: Webhook) -> list[bytes]:
        """What its messages are signed with now, the newest first. Raises KeysUnavailable, SealBroken."""
        now_us = self._now_us()
        valid = [(version, sealed) for version, sealed, ends_us in webhook.secrets if not ends_us or now_us < ends_us]
        keys: list[bytes] = []
        for version, sealed in valid:
            _, wrapping = await self._customers.get(webhook.tenant_id, _PURPOSE, version)
            keys.append(open_sealed(wrapping, sealed, _place(webhook)))
        return keys

    async def _with_secret(self, webhook: Webhook) -> tuple[Webhook, bytes]:
        version, wrapping = await self._customers.get(webhook.tenant_id, _PURPOSE)
        secret = new_secret()
        ends_us = self._now_us() + OVERLAP_US
        before = tuple((version, sealed, ends_us) for version, sealed, _ in webhook.secrets[:1])
        return replace(webhook, secrets=((version, seal(wrapping, secret, _place(webhook)), 0), *before)), secret

    async def _replace(self, webhook: Webhook) -> Webhook:
        try:
            return _from_document(await self._open().replace(_to_document(webhook), version=webhook.version))
        except VersionConflict:
            raise Conflict("Somebody else has just changed this webhook. Read it again.") from None


def _place(webhook: Webhook) -> bytes:
    return f"webhook/{webhook.tenant_id}/{webhook.id}".encode()


def _to_document(webhook: Webhook) -> Document:
    return {
        "_id": webhook.id,
        "tenant_id": webhook.tenant_id,
        "url": webhook.url,
        "created_at_us": webhook.created_at_us,
        "secrets": [list(secret) for secret in webhook.secrets],
        "disabled_because": webhook.disabled_because,
        "event_types": list(webhook.event_types),
    }


def _from_document(document: Document) -> Webhook:
    return Webhook(
        id=document["_id"],
        tenant_id=document["tenant_id"],
        url=document["url"],
        created_at_us=document["created_at_us"],
        secrets=tuple((version, bytes(sealed), ends_us) for version, sealed, ends_us in document["secrets"]),
        disabled_because=document["disabled_because"],
        event_types=tuple(document.get("event_types", ())),
        version=document["v"],
    )
