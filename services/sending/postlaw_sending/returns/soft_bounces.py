"""Soft bounces, counted by person: an address that has refused again and again, on several days, is no good either.

What is older than two weeks counts no more, so whoever's mailbox was full for a while starts anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import change
from postlaw_sending.returns.days import day_of, forget_old, is_recent

SOFT_BOUNCES: Final = CollectionSpec("soft_bounces", (Index("last_on"),))
MOST: Final = 5
ON_DAYS: Final = 3
WITHIN_DAYS: Final = 14


class SoftBounces:
    """`collection`: `soft_bounces` of the database `sending`, a document a person: campaigns, each with its first report's day."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, tenant_id: str, address_key: bytes, campaign_id: str, at_us: int) -> bool:
        """Whether they are too many by now; a campaign is counted once, however many reports come of it. Raises StoreUnavailable."""
        id = f"{tenant_id}/{address_key.hex()}"

        def counted(document: Document | None) -> Document | None:
            before: list[list[str]] = document["campaigns"] if document else []
            kept = [one for one in before if is_recent(one[1], at_us, WITHIN_DAYS)]
            if campaign_id not in (campaign for campaign, _ in kept):
                kept.append([campaign_id, day_of(at_us)])
            return {"_id": id, "campaigns": kept, "last_on": max(day for _, day in kept)} if kept != before else None

        _, after = await change(self._open(), id, counted)
        kept: list[list[str]] = after["campaigns"] if after else []
        return len(kept) >= MOST and len({day for _, day in kept}) >= ON_DAYS

    async def forget(self, now_us: int) -> None:
        """Removes people none of whose bounces counts any more, of twice that time. Raises StoreUnavailable."""
        await forget_old(self._open(), "last_on", now_us, WITHIN_DAYS)
