"""Settled batches off the bus, into the projection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_sending.campaigns.domain.recipients import Settled
from postlaw_sending.campaigns.outcomes import Outcomes, Read
from postlaw_sending.campaigns.wire import OUTCOMES, settled

Settle = Callable[[Settled], Awaitable[None]]


def outcomes_consumer(outcomes: Outcomes, is_single: Callable[[str], bool], settle_single: Settle, count_contacts: Settle) -> Consumer:
    """`is_single`: whether a batch is not a campaign's but a single message's; `settle_single` takes those, `count_contacts` all others."""

    async def apply(records: list[Received]) -> None:
        reads = [Read(record.offset, record.value, settled(record.value)) for record in records]
        for read in reads:
            if is_single(read.settled.campaign_id):
                await settle_single(read.settled)
            else:
                await count_contacts(read.settled)
        await outcomes.apply([read for read in reads if not is_single(read.settled.campaign_id)])

    # 200 people a batch: so many records at a time keep the event loop free for others.
    return Consumer(group="sending-outcomes", topics=(OUTCOMES,), handler=apply, max_records=50)
