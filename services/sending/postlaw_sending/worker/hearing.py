"""Hearing: the worker tails the consent partitions that it holds, ahead of its jobs, and says how far it has applied them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from opentelemetry.trace import SpanKind

from postlaw_common.bus import Bus, BusUnavailable, EndOffsets, Received, Record
from postlaw_common.bus.generation import GenerationOver, Generations
from postlaw_common.foreground import answering
from postlaw_common.telemetry import exporting, get_logger
from postlaw_common.telemetry.gauges import Gauge
from postlaw_common.telemetry.spans import TRACEPARENT, begun, outgoing, processing
from postlaw_sending.stop.tailing import AGAIN_AFTER_S, Tail
from postlaw_sending.stop.wire import CONSENT_EVENTS, WATERMARKS, Applied, closing
from postlaw_sending.worker.partition import HeldPartition

log = get_logger("sending.hearing")

PERMIT_S = 2.0
CHECK_EVERY_S = 0.5

_halted = Gauge(
    "postlaw.sending.partitions.halted", "{partition}", "Partitions whose consent events cannot be read, so that nothing is sent"
)
_ABOUT = {"messaging.operation.name": "process", "messaging.destination.name": CONSENT_EVENTS}


class Hearing:
    """`held`: the partitions held now, by number; shared with the worker, who calls `reassign` when it changes. `withdrawn`: called for
    each withdrawal heard for which somebody waits. `generation`: of the topics, with which the worker began."""

    def __init__(self, bus: Bus, held: Mapping[int, HeldPartition], generations: Generations, withdrawn: Callable[[], None]) -> None:
        self.generation = ""
        self._generations = generations
        self._bus = bus
        self._held = held
        self._withdrawn = withdrawn
        self._tail = Tail(bus, self._positions, self._apply, max_records=2000)
        self._to_mark: dict[int, str] = {}  # with the trace of whoever waits for it, if one is read
        self._mark = asyncio.Event()
        self._halted: set[int] = set()

    def reassign(self) -> None:
        self._halted &= self._held.keys()
        self._tail.reassign()

    def mark(self, partition: int) -> None:
        """Publish this partition's watermark: something that it says has changed."""
        trace = outgoing() if exporting() else ""
        self._to_mark[partition] = trace or self._to_mark.get(partition, "")
        self._mark.set()

    async def tail(self) -> None:
        """Background: applies what the log says, in order."""
        with _halted.shows(lambda: len(self._halted)):
            await self._tail.run()

    async def _positions(self) -> dict[tuple[str, int], int]:
        return {(CONSENT_EVENTS, n): p.gate.next_offset for n, p in self._held.items() if n not in self._halted}

    def _apply(self, records: list[Received]) -> None:
        for record in records:
            partition = self._held.get(record.partition)
            if partition is None or record.partition in self._halted or record.offset < partition.gate.next_offset:
                continue
            try:
                heard = closing(record.value)
                if record.offset > partition.gate.next_offset:
                    raise ValueError(f"offsets {partition.gate.next_offset} to {record.offset - 1} are missing")
            except ValueError as wrong:
                self._halt(record, wrong)
                continue
            if heard is None:
                partition.gate.advance(record.offset + 1)
                continue
            with processing("apply withdrawal", (record.headers,), _ABOUT):
                partition.gate.apply(record.offset, heard.tag, heard.scope)
                if partition.lately_stopped is not None:
                    partition.lately_stopped.say(record.offset, heard.tag, heard.scope)
                partition.gate.advance(record.offset + 1)
                self.mark(record.partition)
                if heard.awaited:
                    self._withdrawn()

    def _halt(self, record: Received, why: Exception) -> None:
        """On the stop's own path nothing is skipped: the permit ends, and nothing is sent until somebody has looked."""
        log.error("consent_partition_halted", partition=record.partition, offset=record.offset, error=str(why))
        self._halted.add(record.partition)
        self._tail.reassign()

    async def publish_marks(self) -> None:
        """Background: the watermarks of all partitions that changed, in one publish."""
        while True:
            await self._mark.wait()
            self._mark.clear()
            partitions, self._to_mark = self._to_mark, {}
            spans = [begun(f"publish {WATERMARKS}", SpanKind.PRODUCER, parent=trace) for trace in partitions.values() if trace]
            records = [
                Record(WATERMARKS, number, applied(partition).to_bytes(), headers=_headers(partitions[number]))
                for number in partitions
                if (partition := self._held.get(number)) is not None and not partition.lost
            ]
            if not records:
                continue
            try:
                with answering():  # a person waits for it: the lanes of this process step aside until it is out
                    await self._bus.publish(records)
            except BusUnavailable as gone:
                log.warning("watermark_not_published", error=str(gone))
                await asyncio.sleep(AGAIN_AFTER_S)
                self._to_mark = {**partitions, **self._to_mark}
                self._mark.set()
            finally:
                for span in spans:
                    if span is not None:
                        span.end()

    async def keep_permits(self) -> None:
        """Background: asks for the ends of the log on a client that does nothing else (rule 4). Raises GenerationOver."""
        while True:
            try:
                client = await self._bus.end_offset_client()
            except BusUnavailable as gone:
                log.warning("bus_unavailable", error=str(gone))
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            try:
                await self._keep_permits(client)
            finally:
                await client.close()

    async def _keep_permits(self, client: EndOffsets) -> None:
        while True:
            began = time.monotonic()
            numbers = list(self._held)
            if numbers:
                try:
                    ends = await client.end_offsets([(CONSENT_EVENTS, number) for number in numbers])
                    await self.still_the_same()  # asked after the ends, which are then ends of this generation
                except BusUnavailable as gone:
                    log.warning("permit_not_renewed", error=str(gone))
                else:
                    for (_, number), end in ends.items():
                        if number in self._held:
                            self._held[number].gate.log_end_read(began, end, PERMIT_S)
            await asyncio.sleep(max(0.05, CHECK_EVERY_S - (time.monotonic() - began)))

    async def still_the_same(self) -> None:
        """Raises GenerationOver where the topics are no longer those with which the worker began; BusUnavailable."""
        now = await self._generations.now()
        if now != self.generation:
            raise GenerationOver(f"topics of generation {now or 'none'}, this worker began with {self.generation}: start it again")


def _headers(trace: str) -> dict[str, bytes]:
    return {TRACEPARENT: trace.encode()} if trace else {}


def applied(partition: HeldPartition) -> Applied:
    """What is true of the partition at this instant."""
    waiting, lately = partition.gate.waiting(), partition.lately_stopped
    handed = lately.handed(partition.batches.values(), waiting) if lately is not None else ()
    return Applied(
        partition=partition.number,
        applied=partition.gate.next_offset - 1,
        waiting=frozenset(waiting),
        epoch=partition.holding.epoch,
        left_open=partition.left_open_tags(),
        generation=partition.holding.generation,
        handed=[(one.tag, one.at_us) for one in handed],
    )
