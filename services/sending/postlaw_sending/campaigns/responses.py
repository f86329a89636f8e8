"""Who responded to a variant of an A/B test: a person once for each measure, and nobody whom their law or their choice keeps unnamed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Index
from postlaw_common.store.bulk import bulk_delete
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure

RESPONSES = CollectionSpec("responses", (Index("variant"), Index("campaign_id")))


class Responses:
    """`collection`: `responses` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, campaign_id: str, measure: Measure, variant: int, address_key: bytes) -> None:
        """However often they respond, they count once."""
        document = {
            "_id": f"{campaign_id}/{measure}/{address_key.hex()}",
            "variant": _place(campaign_id, measure, variant),
            "campaign_id": campaign_id,
        }
        with contextlib.suppress(AlreadyExists):
            await self._open().insert(document)

    async def of(self, campaign_id: str, test: AbTest) -> list[int]:
        """How many people responded to each variant, by the test's measure; by clicks where a person chooses."""
        measure = test.measure or Measure.CLICKS
        return [await self._open().count("variant", _place(campaign_id, measure, number)) for number in range(1, len(test.variants) + 1)]

    async def forget(self, campaign_id: str) -> None:
        """The campaign has ended; its analytics have counts of their own."""
        await bulk_delete(self._open(), "campaign_id", campaign_id)


def _place(campaign_id: str, measure: Measure, variant: int) -> str:
    return f"{campaign_id}/{measure}/{variant}"
