"""A lane: one partition of a consumer that has met a record which fails, and goes on by itself while the others go on without it.

The lane keeps no records, only where it stands (`next`) and how far the partition is known to reach (`end`): it reads them again
from the bus, so that a partition may stand still for days in constant memory. Once it has caught up, the consumer takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from postlaw_common import dlq
from postlaw_common.bus import Bus, Received
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.failures import describe

Handler = Callable[[list[Received]], Awaitable[None]]

_AT_ONCE = 100

_log = get_logger(__name__)
_parked = meter(__name__).create_counter("postlaw.consumer.parked", unit="{record}", description="Records parked in a dead-letter topic")
_halted = meter(__name__).create_up_down_counter(
    "postlaw.consumer.halted", unit="{partition}", description="Partitions that stand still on a failing record"
)


def begin_count(consumer: str, topics: Iterable[str]) -> None:
    """Shows zeros from the start: who first sees a counter at 1 cannot tell that it has risen."""
    for topic in topics:
        _parked.add(0, {"consumer": consumer, "topic": topic})
        _halted.add(0, {"consumer": consumer, "topic": topic})


@dataclass(frozen=True, slots=True)
class Retries:
    """How often one record is tried before it is parked (or an alert is raised), and the waits between, which double."""

    tries: int = 5
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a consumer hands to its lanes. `pause(seconds)` is True when it is time to stop."""

    bus: Bus
    consumer: str
    handler: Handler
    outages: tuple[type[Exception], ...]
    retries: Retries
    halt_on_failure: bool
    commit: Callable[[Received], Awaitable[None]]
    pause: Callable[[float], Awaitable[bool]]


@dataclass(slots=True)
class Lane:
    partition: tuple[str, int]
    next: int
    end: int
    work: Work
    halted: bool = False
    task: asyncio.Task[None] | None = None

    async def run(self, leave: Callable[[], None]) -> None:
        """Until it is time to stop, or the lane has caught up: then it leaves without an await, so that no record falls between."""
        while self.next < self.end:
            try:
                topic, partition = self.partition
                records = await self.work.bus.read_range(topic, partition, self.next, min(self.end, self.next + _AT_ONCE))
                if not records:  # retention has taken them
                    self.next = min(self.end, self.next + _AT_ONCE)
                elif not await self._take(records):
                    return
            except Exception as failure:  # the bus is away, or the commit was refused: the lane stands where it stood
                _log.warning("lane cannot go on now", consumer=self.work.consumer, exc_info=failure)
                if await self.work.pause(1.0):
                    return
        leave()

    async def _take(self, records: list[Received]) -> bool:
        wanted = [record for record in records if dlq.concerns(record, self.work.consumer)]
        if len(wanted) > 1:
            try:
                await self.work.handler(wanted)
                await self._done(records[-1])
                return True
            except Exception as failure:
                _log.info("partition goes on record by record", consumer=self.work.consumer, failure=failure)
        for record in records:
            if record in wanted and not await self._one(record):
                return False
            await self._done(record)
        return True

    async def _done(self, record: Received) -> None:
        self.next = record.offset + 1
        await self.work.commit(record)

    async def _one(self, record: Received) -> bool:
        """True when the record is done with: handled, or parked. False when told to stop."""
        work, attempts, delay = self.work, 0, self.work.retries.first_delay_s
        about = {"consumer": work.consumer, "topic": record.topic, "partition": record.partition, "offset": record.offset}
        while True:
            try:
                await work.handler([record])
                self._stand_still(False)
                return True
            except work.outages as failure:
                _log.warning("lane waits for a part that is away", **about, failure=failure)
            except Exception as failure:
                attempts += 1
                if attempts >= work.retries.tries and not work.halt_on_failure:
                    await self._park(record, attempts, failure)
                    return True
                if attempts == work.retries.tries:
                    self._stand_still(True)
                    _log.alert("partition halted: a record cannot be handled, and skipping it is not allowed", **about, exc_info=failure)
            if await work.pause(delay):
                return False
            delay = min(2 * delay, work.retries.longest_delay_s)

    async def _park(self, record: Received, attempts: int, failure: Exception) -> None:
        work = self.work
        reason = describe(failure)
        await work.bus.publish(
            [dlq.letter(record, reason=reason, attempts=attempts, consumer=work.consumer, partitions=work.bus.partitions)]
        )
        _parked.add(1, {"consumer": work.consumer, "topic": record.topic})
        _log.alert(
            "record parked", consumer=work.consumer, topic=record.topic, partition=record.partition, offset=record.offset, exc_info=failure
        )

    def _stand_still(self, halted: bool) -> None:
        if halted != self.halted:
            self.halted = halted
            _halted.add(1 if halted else -1, {"consumer": self.work.consumer, "topic": self.partition[0]})
