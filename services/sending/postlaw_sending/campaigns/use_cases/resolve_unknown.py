"""What becomes of recipients of whom nobody knows whether they were mailed, by their campaign's policy and at an operator's word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from postlaw_common.errors import Conflict, NotFound
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Move, Status, moved
from postlaw_sending.campaigns.domain.plan import Kept
from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.campaigns.kept_back import KeptBack
from postlaw_sending.campaigns.keys import KEPT_AFTER_END_US, CampaignKeyDestroyed, CampaignKeys
from postlaw_sending.campaigns.leases import Leases
from postlaw_sending.campaigns.outcomes import Outcomes
from postlaw_sending.campaigns.plans import place_id
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck

_AT_ONCE = 50  # batches
_TOO_LATE = "The campaign ended more than 72 hours ago: it mails nobody any more."


class _Unknown(NamedTuple):
    partition: int
    batch: int
    people: Kept


class ResolveUnknown:
    """`settled` parses a batch's event. `require_free`, `may_send_from`: see MoveCampaign."""

    def __init__(
        self,
        campaigns: Campaigns,
        keys: CampaignKeys,
        leases: Leases,
        outcomes: Outcomes,
        kept: KeptBack,
        settled: Callable[[bytes], Settled],
        now_us: Callable[[], int],
        require_free: Callable[[str, str], Awaitable[None]],
        may_send_from: SenderCheck | None,
    ) -> None:
        self._require_free = require_free
        self._may_send_from = may_send_from
        self._campaigns = campaigns
        self._keys = keys
        self._leases = leases
        self._outcomes = outcomes
        self._kept = kept
        self._settled = settled
        self._now_us = now_us

    async def __call__(self, campaign_id: str) -> tuple[int, int]:
        """(how many stay unknown, how many are planned anew). Cut off and asked again, it goes on; nobody is planned twice for one batch.
        Raises NotFound, Conflict."""
        campaign = await self._campaigns.find(campaign_id)
        if campaign is None:
            raise NotFound(f"There is no campaign {campaign_id}.")
        if not campaign.mail_unknown_again:
            return (await self._outcomes.tally(campaign_id)).unknown, 0
        if campaign.status not in (Status.SENDING, Status.FINISHED):
            raise Conflict(f"A campaign that is {campaign.status} mails nobody again.")
        # What was held back after its end is as little begun again as what was held back before.
        await self._require_free(campaign.tenant_id, campaign_id)
        if self._may_send_from is not None:
            await self._may_send_from(campaign.tenant_id, campaign.sender.address)
        # By its time as well: who was planned anew may be forgotten already, where the key is still to be destroyed.
        if campaign.ended and self._now_us() - campaign.ended_at_us >= KEPT_AFTER_END_US:
            raise Conflict(_TOO_LATE)
        try:
            await self._keys.get(campaign.tenant_id, campaign_id)
        except CampaignKeyDestroyed as gone:
            raise Conflict(_TOO_LATE) from gone
        again = 0
        async for unknown in self._unknown(campaign_id):
            # Out of the totals before into the plan: who is in neither is pending, and this call made again goes on with them.
            count = len(unknown.people.address_keys)
            if await self._outcomes.mail_again(campaign_id, unknown.partition, unknown.batch, count):
                again += count
            await self._kept.put(campaign_id, unknown.partition, [unknown.people])
        if await self._kept.any(campaign_id):
            await self._campaigns.change(campaign_id, campaign.tenant_id, lambda found: moved(found, Move.REOPEN, self._now_us()), None)
            await self._leases.reopen(campaign_id)
        return 0, again

    async def _unknown(self, campaign_id: str) -> AsyncIterator[_Unknown]:
        after = ""
        while batches := await self._outcomes.events(campaign_id, after=after, limit=_AT_ONCE):
            for _, event in batches:
                settled = self._settled(event)
                people = [outcome for outcome in settled.outcomes() if outcome.state is State.UNKNOWN]
                if people:
                    group = Kept(
                        f"{place_id(campaign_id, settled.partition)}/{0:017d}/again{settled.batch:08d}",
                        0,
                        tuple(outcome.address_key for outcome in people),
                        tuple(outcome.subscriber_id for outcome in people),
                    )
                    yield _Unknown(settled.partition, settled.batch, group)
            after = batches[-1][0]
