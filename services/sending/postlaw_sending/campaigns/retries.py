"""Recipients that wait for another attempt: one document per settled batch and due time, in due order within a partition.

The projection puts them here before it notes the batch, and never again once the batch is noted; the planner takes them up only
once the batch is noted, and removes them before it closes the plan that took them up. So nobody is taken up twice, whichever of
the two is killed where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_sending.campaigns.domain.recipients import Settled, waiting
from postlaw_sending.campaigns.plans import place_id

RETRIES = CollectionSpec("retries", (Index("place"), Index("campaign_id")), packed=True)


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempt`: that of the batch that will carry them. `batch`: the `_id` of the batch document that they come from."""

    id: str
    batch: str
    due_us: int
    attempt: int
    address_keys: list[bytes]
    subscriber_ids: list[str]


def batch_id(campaign_id: str, partition: int, batch: int) -> str:
    return f"{place_id(campaign_id, partition)}/{batch:08d}"


def retry_documents(settled: Settled) -> list[Document]:
    """What waits after this batch. Ids and due times follow from the event, so that making them again makes the same."""
    place = place_id(settled.campaign_id, settled.partition)
    return [
        {
            "_id": f"{place}/{group.due_us:017d}/{settled.batch:08d}",
            "place": place,
            "campaign_id": settled.campaign_id,
            "batch": batch_id(settled.campaign_id, settled.partition, settled.batch),
            "due_us": group.due_us,
            "attempt": group.attempt,
            "address_keys": group.address_keys,
            "subscriber_ids": group.subscriber_ids,
        }
        for group in waiting(settled)
    ]


class Retries:
    """`collection`: `retries`; `batches`: the projection's `batches`, both of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], batches: Callable[[], Collection]) -> None:
        self._open = collection
        self._batches = batches

    async def due(self, campaign_id: str, partition: int, now_us: int, *, any_time: bool = False, limit: int = 20) -> list[Retry]:
        """Those that may be taken up now, longest due first. `any_time`: the due time no longer counts (the campaign was cancelled)."""
        page = await self._open().find("place", place_id(campaign_id, partition), limit=limit)
        due = [_from_document(document) for document in page if any_time or document["due_us"] <= now_us]
        if not due:
            return []
        noted = await self._batches().get_many([retry.batch for retry in due])
        return [retry for retry in due if retry.batch in noted]

    async def any(self, campaign_id: str) -> bool:
        return bool(await self._open().find("campaign_id", campaign_id, limit=1))

    async def get(self, ids: Sequence[str]) -> list[Retry]:
        return [_from_document(document) for document in (await self._open().get_many(ids)).values()]

    async def remove(self, ids: Sequence[str]) -> None:
        for id in ids:
            await self._open().delete(id)

    async def page(self, campaign_id: str, *, after: str, limit: int) -> list[Retry]:
        """Those of a campaign whose `_id` comes after `after`."""
        return [_from_document(document) for document in await self._open().find("campaign_id", campaign_id, after=after, limit=limit)]


def _from_document(document: Document) -> Retry:
    return Retry(
        id=document["_id"],
        batch=document["batch"],
        due_us=document["due_us"],
        attempt=document["attempt"],
        address_keys=[bytes(key) for key in document["address_keys"]],
        subscriber_ids=list(document["subscriber_ids"]),
    )
