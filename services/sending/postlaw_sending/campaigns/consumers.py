"""Settled batches off the bus, into the projection."""

from __future__ import annotations

from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_sending.campaigns.outcomes import Outcomes, Read
from postlaw_sending.campaigns.wire import OUTCOMES, settled


def outcomes_consumer(outcomes: Outcomes) -> Consumer:
    async def apply(records: list[Received]) -> None:
        await outcomes.apply([Read(record.offset, record.value, settled(record.value)) for record in records])

    # 200 people a batch: so many records at a time keep the event loop free for others.
    return Consumer(group="sending-outcomes", topics=(OUTCOMES,), handler=apply, max_records=50)
