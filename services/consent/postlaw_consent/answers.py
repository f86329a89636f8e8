"""What people were answered, on its way to the log: at once, or kept while the bus is away and published when it is back.

Nothing is written before the answer, nor after it while the bus takes the event: an opt-out's own writes stay two. So a process that
is killed within the tenth of a second between an answer and its event loses that event; the withdrawal itself it never loses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postlaw_common.bus import Bus, BusUnavailable, Record
from postlaw_common.events import Event, to_record
from postlaw_common.outbox import pack, unpack
from postlaw_common.store import Collection, CollectionSpec, Index, StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.outgoing import ANSWERS

ANSWERS_DUE = CollectionSpec("answers_due", (Index("due"),))

DUE = "1"
EVERY_S = 1.0
TOGETHER_S = 0.1
_PAGE = 200

_log = get_logger(__name__)


class Answers:
    """Those given within TOGETHER_S are published as one: each by itself cost a millisecond of our processor time and as much of the bus's,
    for which the mail and the next opt-out waited."""

    def __init__(self, collection: Callable[[], Collection], bus: Bus, afterwards: Afterwards) -> None:
        self._collection = collection
        self._bus = bus
        self._afterwards = afterwards
        self._told: list[Record] = []

    def tell(self, answered: Event, partition: int) -> None:
        """On its way: `afterwards` waits until the bus has it, or the store keeps it, and logs where neither does."""
        self._told.append(to_record(answered, ANSWERS.name, partition))
        if len(self._told) == 1:
            self._afterwards.begin(self._publish(), what="answers to the log")

    async def _publish(self) -> None:
        await asyncio.sleep(TOGETHER_S)
        told, self._told = self._told, []
        try:
            await self._bus.publish(told)
        except BusUnavailable:
            await self._collection().insert_many(
                [{"_id": record.headers["ce_id"].decode(), "due": DUE, "record": pack(record)} for record in told]
            )

    async def run(self) -> None:
        """Background."""
        while True:
            try:
                await self.sweep()
            except (BusUnavailable, StoreUnavailable) as gone:
                _log.warning("answers wait", failure=type(gone).__name__)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Publishes what was kept, perhaps a second time, under the same id; returns how many. Raises BusUnavailable, StoreUnavailable."""
        published = 0
        while kept := await self._collection().find("due", DUE, limit=_PAGE):
            await self._bus.publish([unpack(document["record"]) for document in kept])
            await asyncio.gather(*(self._collection().delete(document["_id"]) for document in kept))
            published += len(kept)
        return published
