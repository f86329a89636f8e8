"""A campaign's checklist, as a launch would see it now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_common.caller import current
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Identity
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.checklist.items import Item


class GetChecklist:
    def __init__(
        self,
        campaigns: Campaigns,
        identity: Identity,
        checklist: Callable[[Campaign], Awaitable[list[Item]]],
        now_us: Callable[[], int],
    ) -> None:
        self._campaigns = campaigns
        self._identity = identity
        self._checklist = checklist
        self._now_us = now_us

    async def __call__(self, campaign_id: str) -> list[Item]:
        """Raises NotFound, Unavailable."""
        campaign = await self._campaigns.get(campaign_id, current().tenant_id)
        if not campaign.launched_at_us:
            contact = await self._identity.contact(campaign.tenant_id)
            campaign = replace(campaign, contact=contact, launched_at_us=self._now_us())
        return await self._checklist(campaign)
