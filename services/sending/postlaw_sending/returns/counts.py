"""Complaints and hard bounces by campaign, and what is held back for their rate: a document a campaign, and one a customer.

One that is counted twice after a crash, or not at all, moves no rate of hundreds of mails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import astuple
from typing import Final

from postlaw_common.errors import Conflict
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.returns.rates import Figures

COUNTS: Final = CollectionSpec("return_counts", (Index("tenant_id"), Index("holding")))
_HOLDING: Final = "1"


class Counts:
    """`collection`: `return_counts` of the database `sending`. An id is a campaign's or a customer's. Every method raises
    StoreUnavailable."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, tenant_id: str, campaign_id: str, complaints: int, hard_bounces: int) -> None:
        def more(document: Document) -> Document:
            return document | {
                "complaints": document["complaints"] + complaints,
                "hard_bounces": document["hard_bounces"] + hard_bounces,
            }

        await self._change(tenant_id, campaign_id, more)

    async def of(self, campaign_id: str) -> tuple[int, int]:
        """Complaints and hard bounces."""
        document = await self._open().get(campaign_id, linearizable=True)
        return (document["complaints"], document["hard_bounces"]) if document else (0, 0)

    async def released_at(self, id: str) -> Figures:
        """The figures when it was last released, from which on rates count; zeros where it never was held back."""
        document = await self._open().get(id, linearizable=True)
        return Figures(*document["released_at"]) if document else Figures()

    async def hold(self, tenant_id: str, id: str, because: str) -> bool:
        """False where it was held back before."""
        document = await self._change(tenant_id, id, lambda one: one if one["holding"] else one | {"holding": _HOLDING, "because": because})
        return document is not None

    async def held(self) -> AsyncIterator[tuple[str, str, str]]:
        """(customer, id, why) of everything that is held back."""
        async for page in self._open().scan("holding", _HOLDING):
            for document in page:
                yield document["tenant_id"], document["_id"], document["because"]

    async def release(self, tenant_id: str, id: str, figures: Figures) -> None:
        await self._change(tenant_id, id, lambda one: one | {"holding": None, "because": "", "released_at": list(astuple(figures))})

    async def require_free(self, tenant_id: str, campaign_id: str) -> None:
        """Raises Conflict of type `sending-held` where the campaign, or all that the customer sends, is held back."""
        for document in (await self._open().get_many([tenant_id, campaign_id])).values():
            if document["holding"]:
                raise Conflict(f"Sending is held back ({document['because']}): the operator must release it.", type="sending-held")

    async def _change(self, tenant_id: str, id: str, change: Callable[[Document], Document]) -> Document | None:
        """None where `change` changed nothing."""
        while True:
            found = await self._open().get(id, linearizable=True)
            before: Document = found or _new(id, tenant_id)
            after = change(before)
            if after == before:
                return None
            try:
                if found is None:
                    await self._open().insert(after)
                else:
                    await self._open().replace(after, version=found["v"])
            except (AlreadyExists, VersionConflict):
                continue
            return after


def _new(id: str, tenant_id: str) -> Document:
    return {
        "_id": id,
        "tenant_id": tenant_id,
        "complaints": 0,
        "hard_bounces": 0,
        "holding": None,
        "because": "",
        "released_at": [0, 0, 0, 0],
    }
