"""When a campaign is done: its audience is planned, and every recipient is in a final state."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.errors import NotFound
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, WrongMove, moved
from postlaw_sending.campaigns.kept_back import KeptBack
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.outcomes import Outcomes


class Ending:
    def __init__(self, campaigns: Campaigns, outcomes: Outcomes, kept: KeptBack, now_us: Callable[[], int]) -> None:
        self._campaigns = campaigns
        self._outcomes = outcomes
        self._kept = kept
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
        """False where the campaign was paused or cancelled just now, or people are to be mailed again: then that is looked at next."""
        try:
            await self._move(campaign, Move.FINISH)
            # ResolveUnknown keeps them before it looks whether the campaign is finished: where it was not yet, they are here by now.
            if campaign.mail_unknown_again and await self._kept.any(campaign.campaign_id):
                await self._move(campaign, Move.REOPEN)
                return False
        except (WrongMove, NotFound):
            return False
        return True

    async def _move(self, campaign: Campaign, move: Move) -> None:
        now_us = self._now_us()
        await self._campaigns.change(campaign.campaign_id, campaign.tenant_id, lambda found: moved(found, move, now_us), None)
