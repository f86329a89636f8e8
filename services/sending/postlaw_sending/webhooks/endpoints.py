"""Webhooks in the store, and the secrets that they are signed with, sealed under the customer's key. Every change is announced in the
same write (postlaw_common.outbox)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import Conflict, NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.ids import new_id
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_sending.webhooks.domain import Change, Webhook
from postlaw_sending.webhooks.signing import new_secret
from postlaw_sending.webhooks.wire import WEBHOOK_CHANGED, WEBHOOKS_CHANGED, changed

WEBHOOKS = CollectionSpec("webhooks", (Index("tenant_id"), OUTBOX_INDEX))
MOST: Final = 10  # of a customer
OVERLAP_US: Final = 24 * 3600 * 1_000_000
_PURPOSE: Final = "webhooks"


class Webhooks:
    """`collection`: `webhooks` of the database `sending`. `partitions`: the installation's count."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        outbox: Outbox,
        partitions: Callable[[], int],
        customers: CustomerKeys,
        now_us: Callable[[], int],
    ) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions
        self._customers = customers
        self._now_us = now_us

    async def create(self, tenant_id: str, url: str, event_types: Sequence[str]) -> tuple[Webhook, bytes]:
        """With its secret. Raises Conflict where there are many already."""
        if await self._open().count("tenant_id", tenant_id) >= MOST:
            raise Conflict(f"There are {MOST} webhooks already; delete one first.")
        made = Webhook(new_id("whk"), tenant_id, url, self._now_us(), event_types=tuple(event_types))
        fresh, secret = await self._new_secret(made)
        kept = replace(made, secrets=(fresh,))
        document = self._announced(_to_document(kept), tenant_id, "created", None, kept)
        await self._open().insert(document)
        await self._outbox.publish_after_write(self._open(), document)
        return kept, secret

    async def of_tenant(self, tenant_id: str) -> list[Webhook]:
        return [_from_document(document) for document in await self._open().find("tenant_id", tenant_id, limit=MOST)]

    async def get(self, id: str, tenant_id: str) -> Webhook:
        """Raises NotFound, also for another customer's."""
        found = await self.find(id)
        if found is None or found.tenant_id != tenant_id:
            raise _not_found(id)
        return found

    async def find(self, id: str) -> Webhook | None:
        document = await self._open().get(id, linearizable=True)
        return _from_document(document) if document and document["tenant_id"] else None

    async def delete(self, id: str, tenant_id: str) -> Webhook:
        """As it was. What is left of it says only that it is gone. Raises NotFound."""
        before, _ = await self._change(id, tenant_id, "deleted", lambda _: None)
        return before

    async def rotate(self, id: str, tenant_id: str) -> tuple[Webhook, bytes]:
        """With its new secret. Raises NotFound."""
        fresh, secret = await self._new_secret(await self.get(id, tenant_id))
        ends_us = self._now_us() + OVERLAP_US

        def with_it(webhook: Webhook) -> Webhook:
            before = tuple((version, sealed, ends_us) for version, sealed, _ in webhook.secrets[:1])
            return replace(webhook, secrets=(fresh, *before))

        return await self._changed(id, tenant_id, "secret rotated", with_it), secret

    async def disable(self, id: str, tenant_id: str, because: str) -> None:
        """Raises NotFound."""
        await self._changed(id, tenant_id, "disabled", lambda webhook: replace(webhook, disabled_because=because))

    async def enable(self, id: str, tenant_id: str) -> Webhook:
        """It is sent to again, with all that waits. Raises NotFound."""
        return await self._changed(id, tenant_id, "redelivery asked", lambda webhook: replace(webhook, disabled_because=""))

    async def told_of(self, id: str, tenant_id: str, event_types: Sequence[str]) -> Webhook:
        """Raises NotFound."""
        return await self._changed(id, tenant_id, "event types set", lambda webhook: replace(webhook, event_types=tuple(event_types)))

    async def keys(self, webhook: Webhook) -> list[bytes]:
        """What its messages are signed with now, the newest first. Raises KeysUnavailable, SealBroken."""
        now_us = self._now_us()
        valid = [(version, sealed) for version, sealed, ends_us in webhook.secrets if not ends_us or now_us < ends_us]
        keys: list[bytes] = []
        for version, sealed in valid:
            _, wrapping = await self._customers.get(webhook.tenant_id, _PURPOSE, version)
            keys.append(open_sealed(wrapping, sealed, _place(webhook)))
        return keys

    async def _new_secret(self, webhook: Webhook) -> tuple[tuple[int, bytes, int], bytes]:
        version, wrapping = await self._customers.get(webhook.tenant_id, _PURPOSE)
        secret = new_secret()
        return (version, seal(wrapping, secret, _place(webhook)), 0), secret

    async def _changed(self, id: str, tenant_id: str, what: Change, change: Callable[[Webhook], Webhook]) -> Webhook:
        before, after = await self._change(id, tenant_id, what, change)
        return after or before

    async def _change(
        self, id: str, tenant_id: str, what: Change, change: Callable[[Webhook], Webhook | None]
    ) -> tuple[Webhook, Webhook | None]:
        """(before, after). Reads, changes and writes until nobody came in between. Raises NotFound."""

        def to(document: Document) -> Document:
            if document["tenant_id"] != tenant_id:
                raise _not_found(id)
            before = _from_document(document)
            after = change(before)
            kept = {name: document[name] for name in ("revision", "outbox") if name in document}
            said: Document = _to_document(after) if after else {"_id": id, "tenant_id": ""}
            return self._announced(kept | said, tenant_id, what, before, after)

        found = await self._outbox.revise(self._open(), id, to)
        if found is None:
            raise _not_found(id)
        before, stored = found
        return _from_document(before), _from_document(stored) if stored["tenant_id"] else None

    def _announced(self, document: Document, tenant_id: str, what: Change, before: Webhook | None, after: Webhook | None) -> Document:
        revision = document.get("revision", 0) + 1
        event = new_event(
            WEBHOOK_CHANGED,
            changed(what, before, after, revision),
            source="sending",
            subject=document["_id"],
            sequence=revision,
            tenant_id=tenant_id,
        )
        record = to_record(event, WEBHOOKS_CHANGED, partition_of(document["_id"], self._partitions()))
        return add_to_outbox(document | {"revision": revision}, [record])


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
    )


def _not_found(id: str) -> NotFound:
    return NotFound(f"There is no webhook {id}.")
