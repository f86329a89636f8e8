"""Taking jobs: sealed batches off the log, opened, and held against the second gate's window before anyone is claimed.

Two topics hold them. Single messages are read on when campaigns' jobs have filled what room there is, and are opened beside them, so
that none waits behind a campaign (ADR 22)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from opentelemetry.trace import SpanKind

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, BusUnavailable, Received
from postlaw_common.errors import PostlawError
from postlaw_common.telemetry import get_logger
from postlaw_common.telemetry.spans import TRACEPARENT, begun
from postlaw_sending.stop.holding import BatchRecord, Place
from postlaw_sending.stop.tailing import AGAIN_AFTER_S, ANYTHING, Tail
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, SINGLES, closing
from postlaw_sending.worker.live_batch import Compiled, LiveBatch, Recipient
from postlaw_sending.worker.partition import HeldPartition, place_of
from postlaw_sending.worker.routes import Router
from postlaw_sending.worker.wire import live_batch, parse_job, unreadable_batch

log = get_logger("sending.jobs")

RECORDS_AHEAD = 64  # records of a topic in memory, over all partitions
OPEN_AHEAD = 2  # batches of campaigns with unclaimed recipients, a partition
OPEN_AHEAD_BY_ROUTE = 6  # where each of its destinations holds a batch up in its own time
SINGLES_OPEN_AHEAD = 16  # a batch of one: each is written down with every claim of its partition


class OpenBatch(Protocol):
    @property
    def recipients(self) -> Sequence[Recipient]: ...
    @property
    def compiled(self) -> Compiled: ...


Opener = Callable[[sending.SealedBatch, int], Awaitable[OpenBatch]]


class Jobs:
    """`opener` unseals a batch of a partition; it raises PostlawError where the campaign's key or document is gone for good.
    `router`: None where all mail goes to one relay."""

    def __init__(
        self, bus: Bus, held: Mapping[int, HeldPartition], opener: Opener, wanted: Callable[[], bool], router: Router | None = None
    ) -> None:
        self._bus = bus
        self._held = held
        self._opener = opener
        self._wanted = wanted
        self._router = router
        self._ahead = OPEN_AHEAD_BY_ROUTE if router else OPEN_AHEAD
        self._tail = Tail(bus, self._positions, self._keep, max_records=RECORDS_AHEAD, room=self._room)
        self._more = {JOBS: asyncio.Event(), SINGLES: asyncio.Event()}
        self._void: set[str] = set()  # campaigns of which a batch was void

    def more(self) -> None:
        """Lanes may want more, or there is more to take."""
        for more in self._more.values():
            more.set()

    def reassign(self) -> None:
        self._tail.reassign()

    async def tail(self) -> None:
        """Background: keeps a few records a partition in memory, no more."""
        await self._tail.run()

    async def _positions(self) -> dict[tuple[str, int], int]:
        return {(topic, number): partition.next_offset(topic) for topic in self._more for number, partition in self._held.items()}

    def _room(self) -> str | None:
        full = [topic for topic in self._more if sum(len(p.records[topic]) for p in self._held.values()) >= RECORDS_AHEAD]
        if not full:
            return ANYTHING
        return SINGLES if SINGLES not in full else JOBS if JOBS not in full else None

    def _keep(self, records: list[Received]) -> None:
        for record in records:
            partition = self._held.get(record.partition)
            if partition is not None and record.offset >= partition.next_offset(record.topic):
                partition.records[record.topic].append(record)
        self.more()

    async def take(self) -> None:
        """Background: opens campaigns' batches where lanes will soon want them."""
        await self._take(JOBS, lambda partition: _unclaimed(partition.batches) < self._ahead and self._wanted())

    async def take_singles(self) -> None:
        """Background: opens single messages, whatever there is of campaigns."""
        await self._take(SINGLES, lambda partition: _unclaimed(partition.singles) < SINGLES_OPEN_AHEAD)

    async def _take(self, topic: str, wanted: Callable[[HeldPartition], bool]) -> None:
        more = self._more[topic]
        while True:
            await more.wait()
            more.clear()
            for partition in list(self._held.values()):
                records = partition.records[topic]
                while records and partition.gives_claims and wanted(partition):
                    await self._take_one(partition, records[0])
                    records.popleft()
                    self._tail.go_on()

    async def _take_one(self, partition: HeldPartition, record: Received) -> None:
        sealed = parse_job(record)
        if sealed.generation != partition.holding.generation:
            self._say_void(sealed.campaign_id)
            partition.pass_over(record)  # its consent offset says nothing here, and whether it was mailed before, nobody knows
            return
        if sealed.batch < partition.holding.taken.get(sealed.campaign_id, 0):
            partition.pass_over(record)  # published again after a planner's crash: the first copy counts
            return
        batch = await self.open(partition.number, place_of(record), sealed, None)
        batch.span = begun(
            "send batch",
            SpanKind.CONSUMER,
            parent=record.headers.get(TRACEPARENT, b"").decode("ascii", "replace"),
            attributes={
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(partition.number),
                "postlaw.campaign.id": sealed.campaign_id,
                "postlaw.batch.number": sealed.batch,
                "postlaw.batch.size": len(batch.states),
            },
        )
        await self.look_back(partition, batch)
        partition.take_batch(batch)

    def _say_void(self, campaign_id: str) -> None:
        if campaign_id not in self._void:
            self._void.add(campaign_id)
            log.alert("batches decided on another generation of the topics are not sent", campaign=campaign_id)

    async def open(self, partition: int, place: Place, sealed: sending.SealedBatch, ledger: BatchRecord | None) -> LiveBatch:
        """The batch with its people. Where it can no longer be opened, its people are `expired`."""
        wait_s = 0.1
        while True:
            try:
                opened = await self._opener(sealed, partition)
                return live_batch(place, sealed, opened.recipients, opened.compiled, ledger, self._router)
            except PostlawError as wrong:
                if wrong.status < 500:
                    log.error("batch_not_opened", campaign=sealed.campaign_id, batch=sealed.batch, error=wrong.type)
                    return unreadable_batch(place, sealed, ledger)
                log.warning("batch_waits", campaign=sealed.campaign_id, batch=sealed.batch, error=wrong.type)
                await asyncio.sleep(wait_s)
                wait_s = min(2.0, wait_s * 2)

    async def look_back(self, partition: HeldPartition, batch: LiveBatch) -> None:
        """The gate must know every withdrawal since the batch's first gate; fetch those from before its window."""
        while batch.consent_offset < partition.gate.window_start:
            start, end = batch.consent_offset, partition.gate.window_start
            try:
                records = await self._bus.read_range(CONSENT_EVENTS, partition.number, start, end)
            except BusUnavailable as gone:
                log.warning("bus_unavailable", error=str(gone))
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            if partition.gate.window_start != end:
                continue  # it was narrowed meanwhile: what lies between is no longer known
            try:
                heard_before = [(record.offset, closing(record.value)) for record in records]
            except ValueError as wrong:
                log.error("consent_log_unreadable", partition=partition.number, error=str(wrong))
                batch.put_off("consent_log_unreadable")  # both gates decide again, the first from consent's ledger
                return
            for offset, heard in heard_before:
                if heard is not None:
                    partition.gate.block(offset, heard.tag, heard.scope)
            partition.gate.window_start = start


def _unclaimed(batches: Mapping[Place, LiveBatch]) -> int:
    return sum(1 for batch in batches.values() if batch.unclaimed)
