"""When a campaign is done: its audience is planned, and every recipient is in a final state."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.errors import NotFound
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, WrongMove, moved
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.outcomes import Outcomes


class Ending:
    def __init__(self, campaigns: Campaigns, outcomes: Outcomes, now_us: Callable[[], int]) -> None:
        self._campaigns = campaigns
        self._outcomes = outcomes
        self._now_us = now_us

    async def reached(self, led: Led, partitions: int) -> bool:
        """Whether nothing of this campaign is left to plan, ever. A campaign that was being sent becomes finished here, once."""
        if led.campaign.status is Status.FINISHED:
            return True
        plans = led.planned
        if plans is None or len(plans) + len(led.unplanned) < partitions:
            return False
        tally = await self._outcomes.tally(led.campaign.campaign_id)
        if tally.final < sum(plan.audience for plan in plans):
            return False
        return led.campaign.status is Status.CANCELLED or await self._finish(led.campaign)

    async def _finish(self, campaign: Campaign) -> bool:
        """False where the campaign was paused or cancelled just now: then that is looked at next."""
        now_us = self._now_us()
        try:
            await self._campaigns.change(campaign.campaign_id, campaign.tenant_id, lambda found: moved(found, Move.FINISH, now_us), None)
        except (WrongMove, NotFound):
            return False
        return True
