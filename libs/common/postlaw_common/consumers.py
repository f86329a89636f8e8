"""Consumers: batches of records to a handler, in order within each partition, at least once.

A batch that fails is halved until single records are found; one that keeps failing holds up only its own partition, in a
`Lane` (lanes.py), where it is tried again, parked in `<topic>.dlq`, or, on the stop's own path, halts the partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from postlaw_common import dlq
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import Bus, BusUnavailable, GroupReader, Received
from postlaw_common.errors import DeadlineExceeded, RateLimited, Unavailable
from postlaw_common.events import Event
from postlaw_common.keys import KeysUnavailable
from postlaw_common.lanes import Lane, Retries, Work, begin_count
from postlaw_common.store import Document, StoreUnavailable
from postlaw_common.telemetry import exporting, get_logger, meter
from postlaw_common.telemetry.gauges import Gauge
from postlaw_common.telemetry.spans import processing

Handler = Callable[[list[Received]], Awaitable[None]]

# No record's fault: the whole batch is tried again until the part is back, however long that takes.
OUTAGES = (StoreUnavailable, BusUnavailable, BlobsUnavailable, KeysUnavailable, Unavailable, DeadlineExceeded, RateLimited)

_log = get_logger(__name__)
_handled = meter(__name__).create_counter("postlaw.consumer.records", unit="{record}", description="Records handled, by consumer")
_lag = Gauge("postlaw.consumer.lag", "{record}", "Records that a consumer has yet to commit, by topic")

LAG_EVERY_S = 10.0


@dataclass(slots=True)
class Consumer:
    """One group's reading of some topics; every instance of the service adds a member.

    `handler` gets up to `max_records` records of several partitions, each partition's in order, and must be idempotent: after a
    crash or a failure it sees some of them again. What it has done must be durable when it returns."""

    group: str
    topics: Sequence[str]
    handler: Handler
    max_records: int = 500
    retries: Retries = field(default_factory=Retries)
    halt_on_failure: bool = False  # the stop's own path: rather stand still than skip
    _reader: GroupReader | None = None
    _task: asyncio.Task[None] | None = None
    _watching: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    lanes: dict[tuple[str, int], Lane] = field(default_factory=dict[tuple[str, int], Lane])

    @property
    def name(self) -> str:
        return self.group

    @property
    def halted(self) -> list[tuple[str, int]]:
        """The partitions that stand still because of a record that cannot be handled."""
        return [partition for partition, lane in self.lanes.items() if lane.halted]

    async def start(self, bus: Bus) -> None:
        """Joins the group and begins to read. Raises BusUnavailable, TopicMismatch."""
        self._stopping.clear()
        if not self.halt_on_failure:
            await bus.ensure_topics([dlq.topic_of(topic) for topic in self.topics])
        self._reader = await bus.group(self.group, self.topics)
        self._task = asyncio.create_task(self._run(bus), name=f"consumer {self.group}")
        if exporting():
            begin_count(self.group, self.topics)
            self._watching = asyncio.create_task(self._watch_lag(), name=f"lag of consumer {self.group}")

    async def stop(self) -> None:
        """Finishes what is under way, commits it, and leaves the group."""
        self._stopping.set()
        if self._watching is not None:
            self._watching.cancel()
        lanes = [lane.task for lane in self.lanes.values() if lane.task is not None]
        if self._task is not None:
            await asyncio.gather(self._task, *lanes, return_exceptions=True)
        await self._leave()
        self._task = None
        self.lanes.clear()

    async def _run(self, bus: Bus) -> None:
        while not self._stopping.is_set():
            try:
                if self._reader is None:
                    self._reader = await bus.group(self.group, self.topics)
                records = await self._read(self._reader)
                if records:
                    await self._take(bus, self._reader, records)
            except Exception as failure:
                # Leaving and joining again goes back to what was committed, so that nothing which was read is skipped.
                _log.error("consumer starts over", consumer=self.group, exc_info=failure)
                await self._leave()
                await self._pause(1.0)

    async def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(BusUnavailable):
                await reader.close()

    async def _read(self, reader: GroupReader) -> list[Received]:
        """The next records; [] at once when asked to stop in the middle of a long poll."""
        reading = asyncio.ensure_future(reader.read(max_records=self.max_records, timeout=1.0))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else []
        finally:
            for waiting in (reading, stopping):
                if not waiting.done():
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)

    async def _take(self, bus: Bus, reader: GroupReader, records: list[Received]) -> None:
        if self.lanes:
            records = [record for record in records if not self._in_lane(record)]
        done, failed = await self._handle(records)
        try:
            if done:
                await reader.commit(list({(record.topic, record.partition): record for record in done}.values()))
                _handled.add(len(done), {"consumer": self.group})
        finally:
            if not self._stopping.is_set():  # else whoever gets the partition next begins with them
                for own in failed:
                    self._open_lane(bus, own)

    def _in_lane(self, record: Received) -> bool:
        """Notes that a partition in a lane goes on; the lane itself reads it again when it gets there."""
        lane = self.lanes.get((record.topic, record.partition))
        if lane is None:
            return False
        lane.end = max(lane.end, record.offset + 1)
        return True

    async def _handle(self, records: list[Received]) -> tuple[list[Received], list[list[Received]]]:
        """Those that are done with; and by partition those from its first failing one on."""
        if not records or await self._call(records):
            return records, []
        done: list[Received] = []
        failed: list[list[Received]] = []
        partitions: dict[tuple[str, int], list[Received]] = {}
        for record in records:
            partitions.setdefault((record.topic, record.partition), []).append(record)
        for own in partitions.values():
            good = await self._bisect(own)
            done += own[:good]
            if good < len(own):
                failed.append(own[good:])
        return done, failed

    async def _bisect(self, records: list[Received]) -> int:
        """How many of one partition's records, from the first on, were handled."""
        if await self._call(records):
            return len(records)
        if len(records) == 1 or self._stopping.is_set():
            return 0
        middle = len(records) // 2
        good = await self._bisect(records[:middle])
        return good if good < middle else middle + await self._bisect(records[middle:])

    async def _call(self, records: list[Received]) -> bool:
        """False when one of the records is at fault. Waits for as long as an outage lasts; False too when told to stop meanwhile."""
        wanted = [record for record in records if dlq.concerns(record, self.group)]
        delay = self.retries.first_delay_s
        while wanted:
            try:
                about: dict[str, str | int] = {"messaging.operation.name": "process", "messaging.consumer.group.name": self.group}
                with processing(f"process {self.group}", (record.headers for record in wanted), about):
                    await self.handler(wanted)
                break
            except OUTAGES as failure:
                _log.warning("consumer waits for a part that is away", consumer=self.group, records=len(wanted), failure=failure)
                if await self._pause(delay):
                    return False
                delay = min(2 * delay, self.retries.longest_delay_s)
            except Exception as failure:
                _log.warning("batch failed", consumer=self.group, records=len(wanted), exc_info=failure)
                return False
        return True

    def _open_lane(self, bus: Bus, records: list[Received]) -> None:
        partition = (records[0].topic, records[0].partition)
        work = Work(bus, self.group, self.handler, OUTAGES, self.retries, self.halt_on_failure, self._commit_for_lane, self._pause)
        lane = Lane(partition, records[0].offset, records[-1].offset + 1, work)
        self.lanes[partition] = lane
        lane.task = asyncio.create_task(lane.run(lambda: self._close_lane(partition)), name=f"consumer {self.group} {partition}")

    def _close_lane(self, partition: tuple[str, int]) -> None:
        del self.lanes[partition]
        _log.info("partition has caught up", consumer=self.group, topic=partition[0], partition=partition[1])

    async def _commit_for_lane(self, record: Received) -> None:
        if self._reader is not None:  # else we are joining again, and a later commit covers this record
            await self._reader.commit([record])

    async def _watch_lag(self) -> None:
        """Asked for beside the reading, and only where somebody looks."""
        behind: dict[str, int] = {}
        with ExitStack() as shown:
            for topic in self.topics:
                shown.enter_context(_lag.shows(lambda topic=topic: behind.get(topic), consumer=self.group, topic=topic))
            while True:
                try:
                    if self._reader is not None:
                        behind.update(await self._reader.lag())
                except BusUnavailable:
                    _log.debug("lag is not known while the bus is away", consumer=self.group)
                await asyncio.sleep(LAG_EVERY_S)

    async def _pause(self, seconds: float) -> bool:
        """True when it is time to stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def already_applied(document: Document | None, event: Event) -> bool:
    """Whether this document has taken the event, or a later one of the same aggregate, before. Sequence 0 is never known."""
    return document is not None and 0 < event.sequence <= document.get("applied", {}).get(event.subject, 0)


def mark_applied(document: Document, event: Event) -> Document:
    """Notes it in the same write as the event's effect. Returns the document."""
    if event.sequence:
        document["applied"] = {**document.get("applied", {}), event.subject: event.sequence}
    return document
