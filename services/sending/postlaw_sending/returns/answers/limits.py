"""How many answers are passed on, of one person's and to one customer, on a day: an address that takes mail is sooner or later written to
by machines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import change
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.days import day_of, forget_old

ANSWERED: Final = CollectionSpec("answers_by_day", (Index("day"),))
OF_ONE: Final = 10  # to one of a campaign's messages
TO_ONE: Final = 2_000  # to one customer
_KEPT_DAYS: Final = 1


class Limits:
    """`collection`: `answers_by_day` of the database `sending`; a document's name tells nobody whose it is."""

    def __init__(self, collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._open = collection
        self._now_us = now_us

    async def admit(self, tenant_id: str, sent: SentMessage) -> bool:
        """Counts one more; whether it is within both limits. Raises StoreUnavailable."""
        one = await self._count(sent.campaign_id, sent.person.hex())
        return one <= OF_ONE and await self._count(tenant_id) <= TO_ONE

    async def forget(self) -> None:
        """Removes what days before yesterday had. Raises StoreUnavailable."""
        await forget_old(self._open(), "day", self._now_us(), _KEPT_DAYS)

    async def _count(self, *of: str) -> int:
        day = day_of(self._now_us())
        id = hashlib.sha256("\0".join([day, *of]).encode()).hexdigest()

        def one_more(document: Document | None) -> Document:
            return {"_id": id, "day": day, "number": document["number"] + 1 if document else 1}

        _, counted = await change(self._open(), id, one_more)
        assert counted is not None
        return counted["number"]
