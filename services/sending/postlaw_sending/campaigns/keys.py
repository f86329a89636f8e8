"""A key for each campaign: its batches on the bus can be read while it lives and for 72 hours after its end, and never again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import NotFound
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Index, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns

CAMPAIGN_KEYS = CollectionSpec("campaign_keys", (Index("alive"),))
KEPT_AFTER_END_US = 72 * 3600 * 1_000_000

_PURPOSE = "campaign"
_CHECK_EVERY_S = 600.0
log = get_logger("sending.campaigns.keys")


class CampaignKeyDestroyed(NotFound):
    """The campaign ended more than 72 hours ago: what was sealed for it cannot be opened any more. Its people expire."""


class CampaignKeys:
    """32-byte keys, wrapped by the customer's key of purpose "campaign". `collection`: `campaign_keys` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], customers: CustomerKeys) -> None:
        self._open = collection
        self._customers = customers

    async def make(self, tenant_id: str, campaign_id: str) -> None:
        """The campaign has a key from now on; one that is there stays."""
        version, wrapping = await self._customers.get(tenant_id, _PURPOSE)
        wrapped = seal(wrapping, os.urandom(32), _place(tenant_id, campaign_id))
        try:
            await self._open().insert(
                {"_id": campaign_id, "tenant_id": tenant_id, "alive": "yes", "key_version": version, "wrapped": wrapped}
            )
        except AlreadyExists:
            return

    async def get(self, tenant_id: str, campaign_id: str) -> bytes:
        """The campaign's key. Raises CampaignKeyDestroyed, also for a campaign that never had one."""
        document = await self._open().get(campaign_id, linearizable=True)
        if document is None or document["wrapped"] is None or document["tenant_id"] != tenant_id:
            raise CampaignKeyDestroyed(f"the key of campaign {campaign_id} is destroyed, or was never made")
        _, wrapping = await self._customers.get(tenant_id, _PURPOSE, document["key_version"])
        return open_sealed(wrapping, bytes(document["wrapped"]), _place(tenant_id, campaign_id))

    async def destroy(self, campaign_id: str) -> None:
        """Only the fact that there was a key remains."""
        document = await self._open().get(campaign_id, linearizable=True)
        if document is None or document["wrapped"] is None:
            return
        try:
            await self._open().replace(document | {"alive": None, "wrapped": None}, version=document["v"])
        except VersionConflict:
            return  # somebody else was destroying it

    async def alive(self) -> list[str]:
        """Campaigns whose keys are still there."""
        return [document["_id"] async for page in self._open().scan("alive", "yes") for document in page]


Forget = Callable[[str], Awaitable[None]]  # of a campaign's id


async def destroy_lapsed(keys: CampaignKeys, campaigns: Campaigns, now_us: int, forget: Forget) -> int:
    """Destroys the keys of campaigns that ended 72 hours ago or earlier, after `forget` has removed what else they left; how many."""
    destroyed = 0
    for campaign_id in await keys.alive():
        campaign = await campaigns.find(campaign_id)
        if campaign is not None and campaign.ended and now_us - campaign.ended_at_us >= KEPT_AFTER_END_US:
            await forget(campaign_id)
            await keys.destroy(campaign_id)
            destroyed += 1
    return destroyed


async def keep_destroying(keys: CampaignKeys, campaigns: Campaigns, now_us: Callable[[], int], forget: Forget) -> None:
    """A background: looks every ten minutes. A store that cannot be reached is tried again."""
    while True:
        try:
            await destroy_lapsed(keys, campaigns, now_us(), forget)
        except Exception as error:
            log.warning("campaign keys could not be looked at", error=type(error).__name__)
        await asyncio.sleep(_CHECK_EVERY_S)


def _place(tenant_id: str, campaign_id: str) -> bytes:
    return f"campaign-key/{tenant_id}/{campaign_id}".encode()
