"""Opening a batch for the worker: one decryption a batch; the campaign's key and its compiled template are kept in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postlaw_common.crypto import SealBroken, open_sealed
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.keys import CampaignKeyDestroyed, CampaignKeys
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.campaigns.watch import CampaignWatch
from postlaw_sending.campaigns.wire import JobRecipient, SealedBatch, recipients
from postlaw_sending.messages.campaign import CompiledCampaign
from postlaw_sending.tracking.messages import TrackedCampaign

KEPT = 256  # campaigns: what this process is sending for at one time, and then some


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """What is needed to mail a batch. `recipients` in the batch's order; one with `refusals` has no address."""

    recipients: Sequence[JobRecipient]
    compiled: CompiledCampaign | TrackedCampaign


@dataclass(frozen=True, slots=True)
class _Ready:
    key: bytes
    compiled: Sequence[CompiledCampaign | TrackedCampaign]  # by variant


class BatchOpener:
    """`compile` makes the messages' side of a campaign, its links on the host that is named; it is called once per campaign and
    process. `links_host`: of what a customer sends from an address, "" for the installation's own."""

    def __init__(
        self,
        keys: CampaignKeys,
        campaigns: Campaigns,
        watch: CampaignWatch,
        compile: Callable[[Campaign, str], CompiledCampaign | TrackedCampaign],
        links_host: Callable[[str, str], Awaitable[str]],
    ) -> None:
        self._keys = keys
        self._campaigns = campaigns
        self._watch = watch
        self._compile = compile
        self._links_host = links_host
        self._ready: OrderedDict[str, asyncio.Future[_Ready]] = OrderedDict()

    async def open(self, sealed: SealedBatch, partition: int) -> OpenBatch:
        """`partition`: where the record was read, so that a batch copied elsewhere does not open.

        Raises CampaignKeyDestroyed (its people expire), Invalid (the record was changed or moved), Unavailable (try again)."""
        try:
            ready = await self._campaign(sealed.tenant_id, sealed.campaign_id)
            aad = place(sealed.campaign_id, partition, sealed.batch, sealed.attempt)
            return OpenBatch(recipients(open_sealed(ready.key, sealed.sealed, aad)), ready.compiled[max(0, sealed.variant - 1)])
        except SealBroken as broken:
            raise Invalid(f"batch {sealed.batch} of {sealed.campaign_id} does not open here: it was changed or moved") from broken
        except (StoreUnavailable, KeysUnavailable) as away:
            raise Unavailable("The campaign's key cannot be read now. Try again.") from away

    async def _campaign(self, tenant_id: str, campaign_id: str) -> _Ready:
        known = self._ready.get(campaign_id)
        if known is not None:
            self._ready.move_to_end(campaign_id)
            return await asyncio.shield(known)
        # Batches of one campaign open on many partitions at once: all wait for the first one's work.
        known = self._ready[campaign_id] = asyncio.ensure_future(self._load(tenant_id, campaign_id))
        while len(self._ready) > KEPT:
            self._ready.popitem(last=False)
        try:
            return await asyncio.shield(known)
        except Exception:
            self._ready.pop(campaign_id, None)
            raise

    async def _load(self, tenant_id: str, campaign_id: str) -> _Ready:
        await self._watch.see(campaign_id)
        campaign = await self._campaigns.find(campaign_id)
        if campaign is None or campaign.tenant_id != tenant_id:
            raise CampaignKeyDestroyed(f"there is no campaign {campaign_id}")
        key = await self._keys.get(tenant_id, campaign_id)
        host = await self._links_host(tenant_id, campaign.sender.address) if campaign.tracking.on else ""
        return _Ready(key, [self._compile(words, host) for words in campaign.in_variants])
