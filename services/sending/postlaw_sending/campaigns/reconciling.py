"""Settled batches held against the events that told of them, and against the jobs that they were (promise S8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Received
from postlaw_common.reconciling import Check, Difference, Step, on_bus, pages_of, records_at
from postlaw_common.store import Collection, Document
from postlaw_sending.campaigns.retries import batch_id
from postlaw_sending.campaigns.wire import JOBS, OUTCOMES
from postlaw_sending.stop.holding import Holding, Place

_AT_ONCE = 300  # documents


class BatchChecks:
    """`batches`: sending's collection of settled batches. `holdings`: all of them now. `is_single`: of a message that is no campaign's.
    `before_us`: what is younger is left alone, since it may still be on its way."""

    def __init__(
        self,
        batches: Callable[[], Collection],
        bus: Bus,
        holdings: Callable[[], Awaitable[Sequence[Holding]]],
        is_single: Callable[[str], bool],
        generation: Callable[[], str],
        before_us: Callable[[], int],
    ) -> None:
        self._batches = batches
        self._bus = bus
        self._holdings = holdings
        self._is_single = is_single
        self._generation = generation
        self._before_us = before_us

    def all(self) -> tuple[Check, ...]:
        return (
            Check("outcomes against batches", self.outcomes_against_batches),
            Check("batches against outcomes", self.batches_against_outcomes),
            Check("jobs against batches", self.jobs_against_batches),
        )

    async def outcomes_against_batches(self, cursor: str) -> AsyncGenerator[Step]:
        async with aclosing(pages_of(self._bus, OUTCOMES, cursor, self._before_us())) as pages:
            async for at, records in pages:
                told = [(sending.BatchSettled.FromString(record.value), record) for record in records]
                of_campaigns = [(said, record) for said, record in told if not self._is_single(said.campaign_id)]
                there = await self._known([batch_id(said.campaign_id, said.partition, said.batch) for said, _ in of_campaigns])
                yield Step(at, len(records), [one for said, record in of_campaigns if (one := _not_kept(said, record, there))])

    async def batches_against_outcomes(self, cursor: str) -> AsyncGenerator[Step]:
        generation = self._generation()
        async with aclosing(self._batches().scan(after=cursor)) as pages:
            async for page in pages:
                told = [(document, sending.BatchSettled.FromString(bytes(document["event"]))) for document in page]
                ours = [(document, said, (said.partition, document["offset"])) for document, said in told if said.generation == generation]
                there = await records_at(self._bus, OUTCOMES, [place for _, _, place in ours])
                found: list[Difference] = []
                for document, said, place in ours:
                    if place in there and there[place].value != bytes(document["event"]):  # after thirty days the bus has it no more
                        ids = (document["_id"], on_bus(OUTCOMES, *place))
                        found.append(Difference("a settled batch in whose place the bus has another event", ids, said.tenant_id))
                yield Step(page[-1]["_id"], len(page), found)

    async def jobs_against_batches(self, cursor: str) -> AsyncGenerator[Step]:
        """What a worker has taken is settled, or still under way."""
        taken = {holding.partition: holding for holding in await self._holdings() if holding.generation == self._generation()}
        live = {(number, batch.place) for number, holding in taken.items() for batch in holding.batches}
        async with aclosing(pages_of(self._bus, JOBS, cursor, self._before_us())) as pages:
            async for at, records in pages:
                done = [
                    (sending.SealedBatch.FromString(record.value), record)
                    for record in records
                    if record.partition in taken
                    and record.offset < taken[record.partition].job_offset
                    and (record.partition, Place(False, record.offset)) not in live
                ]
                ours = [(job, record) for job, record in done if job.generation == self._generation()]
                there = await self._known([batch_id(job.campaign_id, record.partition, job.batch) for job, record in ours])
                found: list[Difference] = []
                for job, record in ours:
                    id = batch_id(job.campaign_id, record.partition, job.batch)
                    if id not in there:
                        ids = (id, on_bus(JOBS, record.partition, record.offset))
                        found.append(Difference("a batch that a worker took, and of which nobody knows what became", ids, job.tenant_id))
                yield Step(at, len(records), found)

    async def _known(self, ids: Sequence[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for begin in range(0, len(ids), _AT_ONCE):
            found |= await self._batches().get_many(ids[begin : begin + _AT_ONCE])
        return found


def _not_kept(said: sending.BatchSettled, record: Received, there: Mapping[str, Document]) -> Difference | None:
    id = batch_id(said.campaign_id, said.partition, said.batch)
    ids, kept = (id, on_bus(record.topic, record.partition, record.offset)), there.get(id)
    if kept is None:
        return Difference("outcomes on the bus that the ledger of settled batches lacks", ids, said.tenant_id)
    if bytes(kept["event"]) == record.value:
        return None
    if kept["offset"] == record.offset:
        return Difference("outcomes that the ledger of settled batches has otherwise", ids, said.tenant_id)
    if sending.BatchSettled.FromString(bytes(kept["event"])).states != said.states:
        return Difference("a batch that was settled twice, and not alike", ids, said.tenant_id)
    return None
