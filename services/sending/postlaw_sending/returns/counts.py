"""Complaints and hard bounces by campaign, also of one provider's people, and what is held back for their rate. Each hold, and its end, is
announced in the same write (postlaw_common.outbox).

One that is counted twice after a crash, or not at all, moves no rate of hundreds of mails.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import astuple
from typing import Final

from postlaw_common.errors import Conflict
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_sending.returns.rates import Figures
from postlaw_sending.returns.wire import hold_record

COUNTS: Final = CollectionSpec("return_counts", (Index("tenant_id"), Index("holding"), OUTBOX_INDEX))
_HOLDING: Final = "1"
_AT: Final = "@"
KEPT_S: Final = 5.0  # how long a process may not know of a hold or its end


def at(id: str, provider: str) -> str:
    """What is counted of one provider's people. `id`: a campaign's or a customer's."""
    return f"{id}{_AT}{provider}"


def provider_in(id: str) -> str:
    """Whose people alone it is about; "" for none."""
    return id.partition(_AT)[2]


class Counts:
    """`collection`: `return_counts` of the database `sending`. An id is a campaign's or a customer's, or what `at` makes of it.
    `partitions`: the installation's count. `monotonic`: seconds. Every method raises StoreUnavailable."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        outbox: Outbox,
        partitions: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions
        self._monotonic = monotonic
        self._known: tuple[float, Mapping[str, frozenset[str]]] | None = None

    async def add(self, tenant_id: str, id: str, complaints: int, hard_bounces: int) -> None:
        def more(document: Document) -> Document:
            return document | {
                "complaints": document["complaints"] + complaints,
                "hard_bounces": document["hard_bounces"] + hard_bounces,
            }

        await self._change(tenant_id, id, more)

    async def of(self, id: str) -> tuple[int, int]:
        """Complaints and hard bounces."""
        document = await self._open().get(id, linearizable=True)
        return (document["complaints"], document["hard_bounces"]) if document else (0, 0)

    async def of_all(self, ids: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """As `of`; who has neither is left out."""
        found = await self._open().get_many(ids)
        return {id: (document["complaints"], document["hard_bounces"]) for id, document in found.items()}

    async def released(self, id: str) -> tuple[Figures, str]:
        """The figures when it was last released, from which on rates count, and that day; zeros and "" where it never was held back."""
        document = await self._open().get(id, linearizable=True)
        return (Figures(*document["released_at"]), document.get("released_on", "")) if document else (Figures(), "")

    async def hold(self, tenant_id: str, id: str, because: str) -> bool:
        """False where it was held back before."""

        def held(document: Document) -> Document:
            return document if document["holding"] else self._announced(document | {"holding": _HOLDING, "because": because})

        self._known = None
        return await self._change(tenant_id, id, held) is not None

    async def held(self) -> AsyncIterator[tuple[str, str, str]]:
        """(customer, id, why) of everything that is held back."""
        async for page in self._open().scan("holding", _HOLDING):
            for document in page:
                yield document["tenant_id"], document["_id"], document["because"]

    async def held_at(self, tenant_id: str) -> frozenset[str]:
        """The providers whose people get nothing of a customer's, as it was a few seconds ago at most."""
        if self._known is None or self._monotonic() - self._known[0] >= KEPT_S:
            found: defaultdict[str, set[str]] = defaultdict(set)
            async for tenant, id, _ in self.held():
                if provider := provider_in(id):
                    found[tenant].add(provider)
            self._known = self._monotonic(), {tenant: frozenset(providers) for tenant, providers in found.items()}
        return self._known[1].get(tenant_id, frozenset())

    async def release(self, tenant_id: str, id: str, figures: Figures, day: str) -> None:
        def free(document: Document) -> Document:
            freed = {"holding": None, "because": "", "released_at": list(astuple(figures)), "released_on": day}
            return self._announced(document | freed) if document["holding"] else document

        self._known = None
        await self._change(tenant_id, id, free)

    async def require_free(self, tenant_id: str, campaign_id: str) -> None:
        """Raises Conflict of type `sending-held` where the campaign, or all that the customer sends, is held back."""
        for document in (await self._open().get_many([tenant_id, campaign_id])).values():
            if document["holding"]:
                raise Conflict(f"Sending is held back ({document['because']}): the operator must release it.", type="sending-held")

    def _announced(self, document: Document) -> Document:
        id, revision = document["_id"], document.get("revision", 0) + 1
        record = hold_record(document["tenant_id"], id, provider_in(id), document["because"], revision, self._partitions())
        return add_to_outbox(document | {"revision": revision}, [record])

    async def _change(self, tenant_id: str, id: str, to: Callable[[Document], Document]) -> Document | None:
        """None where `to` changed nothing."""

        def changed(found: Document | None) -> Document | None:
            before = found or _new(id, tenant_id)
            after = to(before)
            return None if after == before else after

        before, after = await self._outbox.change(self._open(), id, changed)
        return after if after is not before else None


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
