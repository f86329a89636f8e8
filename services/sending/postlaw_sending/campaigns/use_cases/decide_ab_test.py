"""Which variant of an A/B test everybody else gets: chosen by a person, or by what people did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_common.caller import Actor, current
from postlaw_common.errors import Conflict, FieldError, Invalid
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.ab_test import Measure, best
from postlaw_sending.campaigns.domain.campaign import Campaign, Status
from postlaw_sending.campaigns.responses import Responses

log = get_logger("sending.campaigns.ab_test")


class DecideAbTests:
    def __init__(self, campaigns: Campaigns, responses: Responses, now_us: Callable[[], int]) -> None:
        self._campaigns = campaigns
        self._responses = responses
        self._now_us = now_us

    async def by_hand(self, campaign_id: str, winner: int) -> Campaign:
        """The same choice again changes nothing. Raises Invalid, NotFound, Conflict."""
        caller = current()
        campaign = await self._campaigns.get(campaign_id, caller.tenant_id)
        if campaign.ab_test is None:
            raise Conflict("The campaign has no A/B test.")
        if not 1 <= winner <= len(campaign.ab_test.variants):
            wrong = FieldError("variant", f"give a number from 1 to {len(campaign.ab_test.variants)}")
            raise Invalid("There is no such variant.", fields=[wrong])
        if campaign.status not in (Status.SENDING, Status.PAUSED):
            raise Conflict(f"A campaign that is {campaign.status} has no winner to choose.")
        after, _ = await self._campaigns.change(campaign_id, caller.tenant_id, self._won(winner, caller.actor), caller.actor)
        if after.ab_test is None or after.ab_test.winner != winner:
            raise Conflict("Another variant was chosen already, and people have it: it stays.")
        return after

    async def look(self, campaign: Campaign) -> None:
        """Chooses by the measure where its time has come. Opens and clicks of machines are no responses."""
        test = campaign.ab_test
        if test is None or test.winner or test.measure is Measure.BY_HAND or campaign.status is not Status.SENDING:
            return
        if self._now_us() < campaign.launched_at_us + test.decide_after_us:
            return
        counts = await self._responses.of(campaign.campaign_id, test)
        winner = best(test, counts)
        _, decided = await self._campaigns.change(campaign.campaign_id, campaign.tenant_id, self._won(winner, None), None)
        if decided:
            log.info("an A/B test is decided", campaign_id=campaign.campaign_id, winner=winner, responses=counts)

    def _won(self, winner: int, by: Actor | None) -> Callable[[Campaign], Campaign]:
        def change(campaign: Campaign) -> Campaign:
            if campaign.ab_test is None or campaign.ab_test.winner:
                return campaign
            chosen_by = (by.kind, by.id) if by else ("", "")
            return replace(campaign, ab_test=replace(campaign.ab_test, winner=winner, decided_at_us=self._now_us(), decided_by=chosen_by))

        return change
