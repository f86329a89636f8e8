"""Reading campaigns: one with its totals, pages of them, pages of their recipients."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.recipients import FINAL, Outcome, Settled, State, Totals
from postlaw_sending.campaigns.outcomes import Outcomes
from postlaw_sending.campaigns.plans import Plans
from postlaw_sending.campaigns.responses import Responses
from postlaw_sending.campaigns.retries import Retries

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
_BATCHES_AT_ONCE = 10


class ReadCampaigns:
    """`settled` parses a batch's event. `partitions`: the installation's count."""

    def __init__(
        self,
        campaigns: Campaigns,
        plans: Plans,
        outcomes: Outcomes,
        retries: Retries,
        settled: Callable[[bytes], Settled],
        partitions: Callable[[], int],
        responses: Responses,
    ) -> None:
        self._campaigns = campaigns
        self._plans = plans
        self._outcomes = outcomes
        self._retries = retries
        self._settled = settled
        self._partitions = partitions
        self._responses = responses

    async def get(self, campaign_id: str) -> tuple[Campaign, Totals, list[int]]:
        """With how many people responded to each variant of its A/B test. Raises NotFound."""
        campaign = await self._campaigns.get(campaign_id, current().tenant_id)
        responses = await self._responses.of(campaign_id, campaign.ab_test) if campaign.ab_test else []
        return campaign, await self.totals(campaign), responses

    async def totals(self, campaign: Campaign) -> Totals:
        """The final states first: what is planned meanwhile then counts as pending, and never the other way round."""
        tally = await self._outcomes.tally(campaign.campaign_id)
        plans = await self._plans.of(campaign.campaign_id) if not campaign.not_begun else []
        complete = len(plans) == self._partitions() and all(plan.complete for plan in plans)
        return Totals(sum(plan.audience for plan in plans), complete, tally)

    async def page(self, page_size: int, page_token: str) -> tuple[list[Campaign], str]:
        """(campaigns, the token of the next page, "" at the end)."""
        size = _size(page_size)
        campaigns = await self._campaigns.page(current().tenant_id, after=page_token, limit=size)
        return campaigns, campaigns[-1].campaign_id if len(campaigns) == size else ""

    async def recipients(self, campaign_id: str, state: State, page_size: int, page_token: str) -> tuple[list[Outcome], str]:
        """Recipients in their final state, each once; with `state` DEFERRED those that wait for another attempt.

        Who is in no settled batch yet is not listed; there are `totals.pending` of them, with those that wait."""
        campaign = await self._campaigns.get(campaign_id, current().tenant_id)
        size = _size(page_size)
        again = await self._outcomes.mailed_again(campaign_id) if campaign.mail_unknown_again else set[str]()
        if state is State.DEFERRED:
            return await self._waiting(campaign_id, size, page_token)
        after, skip = _cursor(page_token)
        found: list[Outcome] = []
        wanted = FINAL if state is State.PENDING else (state,)
        while True:
            # The cursor's own batch may have rows left: it is read again, by the id that comes just before it.
            batches = await self._outcomes.events(campaign_id, after=after, limit=_BATCHES_AT_ONCE)
            for id, event in batches:
                for index, outcome in enumerate(self._settled(event).outcomes()):
                    if index < skip or outcome.state not in wanted or (outcome.state is State.UNKNOWN and id in again):
                        continue
                    if len(found) == size:
                        return found, f"{after}:{index}"
                    found.append(outcome)
                after, skip = id, 0
            if len(batches) < _BATCHES_AT_ONCE:
                return found, ""

    async def _waiting(self, campaign_id: str, size: int, page_token: str) -> tuple[list[Outcome], str]:
        after, skip = _cursor(page_token)
        found: list[Outcome] = []
        while True:
            retries = await self._retries.page(campaign_id, after=after, limit=_BATCHES_AT_ONCE)
            for retry in retries:
                for index, (id, key) in enumerate(zip(retry.subscriber_ids, retry.address_keys, strict=True)):
                    if index < skip:
                        continue
                    if len(found) == size:
                        return found, f"{after}:{index}"
                    found.append(Outcome(id, key, State.DEFERRED, "", 0))
                after, skip = retry.id, 0
            if len(retries) < _BATCHES_AT_ONCE:
                return found, ""


def _size(page_size: int) -> int:
    if page_size < 0:
        raise Invalid("The page cannot be that small.", fields=[FieldError("page_size", f"give 1 to {LARGEST_PAGE}")])
    return min(page_size or DEFAULT_PAGE, LARGEST_PAGE)


def _cursor(page_token: str) -> tuple[str, int]:
    """(the id that comes before the batch, how many of its recipients were listed already)."""
    if not page_token:
        return "", 0
    after, colon, index = page_token.rpartition(":")
    if not colon or not index.isdecimal():
        raise Invalid("The page token is not one of ours.", fields=[FieldError("page_token", "take it from the page before")])
    return after, int(index)
