"""Campaigns that may go on no longer, since what they are sent from does not stand any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, moved

_PAGE = 200


class PauseSenders:
    def __init__(self, campaigns: Campaigns, now_us: Callable[[], int]) -> None:
        self._campaigns = campaigns
        self._now_us = now_us

    async def __call__(self, tenant_id: str, is_from: Callable[[str], bool], because: str) -> int:
        """Pauses the customer's campaigns that are being sent from an address of which `is_from` is true; how many."""

        def change(campaign: Campaign) -> Campaign:
            if campaign.status is not Status.SENDING:
                return campaign
            return replace(moved(campaign, Move.PAUSE, self._now_us()), paused_because=because)

        count, after = 0, ""
        while page := await self._campaigns.page(tenant_id, after=after, limit=_PAGE):
            after = page[-1].campaign_id
            for campaign in page:
                if campaign.status is Status.SENDING and is_from(campaign.sender.address):
                    _, paused = await self._campaigns.change(campaign.campaign_id, tenant_id, change, None)
                    count += paused
        return count
