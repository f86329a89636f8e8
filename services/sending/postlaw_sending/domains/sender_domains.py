"""Sender domains in the store, `_id` = tenant / domain. What others need to hear is announced in the same write (postlaw_common.outbox);
a check that changes nothing but its own time is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace

from postlaw_common.caller import Actor
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index
from postlaw_sending.domains.domain.sender_domain import Algorithm, Check, DkimKey, Result, SenderDomain, State
from postlaw_sending.domains.wire import DOMAIN_CHANGED, DOMAINS, changed

DOMAIN_DOCUMENTS = CollectionSpec("sender_domains", (Index("tenant_id"), OUTBOX_INDEX))


class SenderDomains:
    """`collection`: `sender_domains` of the database `sending`. `partitions`: the installation's count."""

    def __init__(self, collection: Callable[[], Collection], outbox: Outbox, partitions: Callable[[], int]) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions

    async def insert(self, domain: SenderDomain, actor: Actor) -> SenderDomain:
        """Version 1, announced; or the one that is there already."""
        first = replace(domain, version=1)
        document = self._announced(_to_document(first), first, actor)
        try:
            await self._open().insert(document)
        except AlreadyExists:
            return await self.get(domain.tenant_id, domain.domain)
        await self._outbox.publish_after_write(self._open(), document)
        return first

    async def find(self, tenant_id: str, domain: str) -> SenderDomain | None:
        document = await self._open().get(_id(tenant_id, domain), linearizable=True)
        return _from_document(document) if document else None

    async def get(self, tenant_id: str, domain: str) -> SenderDomain:
        """Raises NotFound."""
        found = await self.find(tenant_id, domain)
        if found is None:
            raise NotFound(f"The domain {domain} is not registered.")
        return found

    async def page(self, tenant_id: str, *, after: str, limit: int) -> list[SenderDomain]:
        """By name. `after`: a domain."""
        last = _id(tenant_id, after) if after else ""
        return [_from_document(document) for document in await self._open().find("tenant_id", tenant_id, after=last, limit=limit)]

    async def all(self) -> AsyncIterator[SenderDomain]:
        """Every customer's, for our own work."""
        async for page in self._open().scan():
            for document in page:
                yield _from_document(document)

    async def change(
        self, tenant_id: str, domain: str, change: Callable[[SenderDomain], SenderDomain], actor: Actor | None
    ) -> SenderDomain:
        """Reads, changes and writes until nobody came in between. `change` returns its argument where there is nothing to do.
        Raises NotFound."""

        def to(document: Document) -> Document | None:
            before = _from_document(document)
            after = change(before)
            if after is before:
                return None
            if _heard(before) == _heard(after):
                return document | _to_document(after)
            after = replace(after, version=before.version + 1)
            return self._announced(document | _to_document(after), after, actor)

        found = await self._outbox.revise(self._open(), _id(tenant_id, domain), to)
        if found is None:
            raise NotFound(f"The domain {domain} is not registered.")
        return _from_document(found[1])

    def _announced(self, document: Document, domain: SenderDomain, actor: Actor | None) -> Document:
        id = document["_id"]
        event = new_event(
            DOMAIN_CHANGED,
            changed(domain, actor),
            source="sending",
            subject=id,
            sequence=domain.version,
            tenant_id=domain.tenant_id,
        )
        return add_to_outbox(document, [to_record(event, DOMAINS, partition_of(id, self._partitions()))])


def _heard(domain: SenderDomain) -> tuple[object, ...]:
    """What others need to hear of; of each key, also what tells later whether it was ours when it signed."""
    return domain.state, [(key.selector, key.published_at_us, key.superseded_at_us) for key in domain.keys]


def _id(tenant_id: str, domain: str) -> str:
    return f"{tenant_id}/{domain}"


def _to_document(domain: SenderDomain) -> Document:
    return {
        "_id": _id(domain.tenant_id, domain.domain),
        "tenant_id": domain.tenant_id,
        "domain": domain.domain,
        "keys": [asdict(key) | {"algorithm": key.algorithm.value} for key in domain.keys],
        "state": domain.state.value,
        "checks": [asdict(check) | {"result": check.result.value} for check in domain.checks],
        "failures": domain.failures,
        "created_at_us": domain.created_at_us,
        "checked_at_us": domain.checked_at_us,
        "due_at_us": domain.due_at_us,
        "revision": domain.version,
    }


def _from_document(document: Document) -> SenderDomain:
    return SenderDomain(
        tenant_id=document["tenant_id"],
        domain=document["domain"],
        keys=tuple(DkimKey(**key | {"algorithm": Algorithm(key["algorithm"]), "sealed": bytes(key["sealed"])}) for key in document["keys"]),
        state=State(document["state"]),
        checks=tuple(Check(**check | {"result": Result(check["result"])}) for check in document["checks"]),
        failures=document["failures"],
        created_at_us=document["created_at_us"],
        checked_at_us=document["checked_at_us"],
        due_at_us=document["due_at_us"],
        version=document["revision"],
    )
