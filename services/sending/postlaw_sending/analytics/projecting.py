"""Events off the bus, into the figures. Nobody waits for them, so what has come in a moment is written together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_common.foreground import step_aside
from postlaw_sending.analytics.figures import FigureSheets
from postlaw_sending.analytics.people import TrackedPeople
from postlaw_sending.analytics.wire import CONSENT_EVENTS, TOPICS, TRACKING, counted, erased, people_of, tells

MOMENT_S: Final = 0.3
AT_ONCE: Final = 500  # records: where so many wait, an import's for example, it is behind already


def analytics_consumer(sheets: FigureSheets, people: TrackedPeople, hear: Callable[[list[Received]], Awaitable[None]]) -> Consumer:
    """`hear` takes the same records: see silence.hearing."""

    async def apply(records: list[Received]) -> None:
        if len(records) < AT_ONCE:
            await asyncio.sleep(MOMENT_S)
        records = list(filter(tells, records))
        found = []
        for record in records:
            one = counted(record)
            if one is not None:
                found.append(one)
                await step_aside()
        await sheets.add(found)
        did = [one for record in records if record.topic == TRACKING for one in people_of(record)]
        if did:
            await people.add(did)
        for key in {erased(record) for record in records if record.topic == CONSENT_EVENTS} - {b""}:
            await people.forget(key)
        await hear(records)

    return Consumer(group="sending-analytics", topics=TOPICS, handler=apply, max_records=AT_ONCE)
