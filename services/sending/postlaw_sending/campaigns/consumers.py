"""Settled batches off the bus, into the projection; and what people did, into the A/B tests that it counts for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.ab_test import Measure, variant_of
from postlaw_sending.campaigns.domain.recipients import Settled
from postlaw_sending.campaigns.keys import CampaignKeyDestroyed, CampaignKeys
from postlaw_sending.campaigns.outcomes import Outcomes, Read
from postlaw_sending.campaigns.responses import Responses
from postlaw_sending.campaigns.wire import OUTCOMES, settled
from postlaw_sending.tracking.domain import Kind
from postlaw_sending.tracking.wire import TRACKING, people_in

_MEASURED: Mapping[Kind, Measure] = {"open": Measure.OPENS, "click": Measure.CLICKS}
Settle = Callable[[Settled], Awaitable[None]]


def outcomes_consumer(
    outcomes: Outcomes,
    is_single: Callable[[str], bool],
    settle_single: Settle,
    count_contacts: Settle,
    refused: Callable[[Iterable[Settled]], Awaitable[None]],
) -> Consumer:
    """`is_single`: whether a batch is not a campaign's but a single message's; `settle_single` takes those, `count_contacts` all others.
    `refused` takes both, for whom a server refused."""

    async def apply(records: list[Received]) -> None:
        reads = [Read(record.offset, record.value, settled(record.value)) for record in records]
        for read in reads:
            if is_single(read.settled.campaign_id):
                await settle_single(read.settled)
            else:
                await count_contacts(read.settled)
        await refused(read.settled for read in reads)
        await outcomes.apply([read for read in reads if not is_single(read.settled.campaign_id)])

    # 200 people a batch: so many records at a time keep the event loop free for others.
    return Consumer(group="sending-outcomes", topics=(OUTCOMES,), handler=apply, max_records=50)


def responses_consumer(responses: Responses, campaigns: Campaigns, keys: CampaignKeys) -> Consumer:
    """Of campaigns whose A/B test has no winner yet; machines, and people who are not named, respond to nothing."""

    async def apply(records: list[Received]) -> None:
        for record in records:
            tenant_id, campaign_id, people = people_in(record.value)
            campaign = await campaigns.find(campaign_id) if people else None
            test = campaign.ab_test if campaign else None
            if test is None or test.winner:
                continue
            try:
                key = await keys.get(tenant_id, campaign_id)
            except CampaignKeyDestroyed:
                continue
            for kind, address_key in people:
                if variant := variant_of(test, key, campaign_id, address_key):
                    await responses.add(campaign_id, _MEASURED[kind], variant, address_key)

    return Consumer(group="sending-ab-tests", topics=(TRACKING,), handler=apply)
