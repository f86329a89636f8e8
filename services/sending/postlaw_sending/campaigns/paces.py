"""Until when what a throttled campaign has sent is paid for: one document a campaign, written before what it pays for is published.

A crash in between costs the campaign that time, and never sends faster.
"""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, VersionConflict
from postlaw_sending.campaigns.domain.pace import allowed, cost_us

PACES = CollectionSpec("paces")


class Paces:
    """`collection`: `paces` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def allowed(self, campaign_id: str, an_hour: int, now_us: int) -> tuple[int, Document | None]:
        """(how many messages may go now, what `pay` takes)."""
        document = await self._open().get(campaign_id, linearizable=True)
        return allowed(an_hour, document["paid_until_us"] if document else 0, now_us), document

    async def pay(self, campaign_id: str, seen: Document | None, an_hour: int, now_us: int, messages: int) -> bool:
        """Notes that so many are about to go. False: somebody else has paid meanwhile; ask again later."""
        paid: Document = {"_id": campaign_id, "paid_until_us": now_us + cost_us(an_hour, messages)}
        try:
            if seen is None:
                await self._open().insert(paid)
            else:
                await self._open().replace(paid, version=seen["v"])
        except (AlreadyExists, VersionConflict):
            return False
        return True

    async def forget(self, campaign_id: str) -> None:
        """The campaign has ended."""
        await self._open().delete(campaign_id)
