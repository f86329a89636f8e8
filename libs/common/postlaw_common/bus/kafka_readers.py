"""Reading Kafka: by assignment, as a group's member, and end offsets alone.

A consumer whose broker is gone returns nothing and raises nothing, so each reader asks for its end offsets beside its reads,
on a client that fetches nothing (behind a long poll on the same client the answer takes as long as that, alone 1 ms). All readers of a
process share that client and its answers: one each made a third of all requests of a mesh at rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from postlaw_common.bus import BusUnavailable, Received
from postlaw_common.bus.kafka_connection import Connection, as_unavailable

PROBE_EVERY = 1.5  # seconds; a dead broker is known after this, FRESH and PROBE_TIMEOUT
PROBE_TIMEOUT = 1.3
FRESH = 0.5  # seconds for which what a leader has answered to one reader counts for the others
_CLIENT = "_client"  # of a consumer: it knows who leads what
SLICE = 0.3  # seconds that one poll may wait before the probe's answer is looked at again


class KafkaEndOffsets:
    def __init__(self, consumer: AIOKafkaConsumer, connection: Connection) -> None:
        self._consumer = consumer
        self._servers = connection.servers
        self._met: set[str] = set()  # topics that the client has looked up
        self._answered_at: dict[int, float] = {}  # by leader, when its last answer was asked for, on the loop's clock

    async def end_offsets(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        if not partitions:
            return {}
        with as_unavailable("asking for end offsets", self._servers):
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._meet({topic for topic, _ in partitions} - self._met)
                found = await self._consumer.end_offsets([TopicPartition(*partition) for partition in partitions])
        return {(partition.topic, partition.partition): offset for partition, offset in found.items()}

    async def _meet(self, topics: set[str]) -> None:
        """In one question the client looks up topics that are new to it one after another, a tenth of a second each: a dozen of them took
        longer than the whole answer may. Asked about side by side, all are looked up at once."""
        if len(topics) > 1:
            await asyncio.gather(*(self._consumer.end_offsets([TopicPartition(topic, 0)]) for topic in topics))
        self._met |= topics

    async def beginning_offset(self, partition: TopicPartition) -> int:
        with as_unavailable("asking for first offsets", self._servers):
            async with asyncio.timeout(PROBE_TIMEOUT):
                return (await self._consumer.beginning_offsets([partition]))[partition]

    async def answer(self, partitions: Collection[TopicPartition]) -> None:
        """Raises BusUnavailable where a leader of these does not answer."""
        now = asyncio.get_running_loop().time()
        silent, unknown = self.to_ask(partitions, now)
        await self.end_offsets([*silent.values(), *unknown])
        self._answered_at |= dict.fromkeys(silent, now)

    def to_ask(self, partitions: Collection[TopicPartition], now: float) -> tuple[dict[int, tuple[str, int]], list[tuple[str, int]]]:
        """Of each leader that has not answered within FRESH before `now` (on the loop's clock), one partition: it answers for all that it
        leads. Beside them all those whose leader this client does not know."""
        led: dict[int, tuple[str, int]] = {}
        unknown: list[tuple[str, int]] = []
        cluster = getattr(self._consumer, _CLIENT).cluster
        for partition in partitions:
            leader: int | None = cluster.leader_for_partition(partition)
            place = (partition.topic, partition.partition)
            if leader is None or leader < 0:
                unknown.append(place)
            elif now - self._answered_at.get(leader, float("-inf")) >= FRESH:
                led.setdefault(leader, place)
        return led, unknown

    async def close(self) -> None:
        await self._consumer.stop()


class Probe:
    """Knows whether the leaders of some partitions still answer, at the cost of one small request every PROBE_EVERY seconds at most."""

    def __init__(self, ends: KafkaEndOffsets) -> None:
        self._ends = ends
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._failure: BusUnavailable | None = None

    async def check(self, partitions: Collection[TopicPartition]) -> None:
        """Raises BusUnavailable when the last answer was none. Waits only where the bus was found gone before."""
        now = asyncio.get_running_loop().time()
        if self._asking is None and now - self._asked_at >= PROBE_EVERY and partitions:
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask(list(partitions)))
        if self._asking is not None and (self._asking.done() or self._failure is not None):
            await self._asking
            self._asking = None
        if self._failure is not None:
            raise self._failure

    async def _ask(self, partitions: list[TopicPartition]) -> None:
        try:
            await self._ends.answer(partitions)
            self._failure = None
        except BusUnavailable as failure:
            self._failure = failure

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


class KafkaReader:
    def __init__(self, consumer: AIOKafkaConsumer, ends: KafkaEndOffsets, connection: Connection) -> None:
        self._consumer = consumer
        self._ends = ends
        self._probe = Probe(ends)
        self._servers = connection.servers
        self._partitions: list[TopicPartition] = []

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None:
        self._partitions = [TopicPartition(*partition) for partition in positions]
        if not self._partitions:
            # Not assign(): for nothing the client asks where every partition of every topic is, at once and every few seconds.
            self._consumer.pause(*self._consumer.assignment())
            return
        self._consumer.assign(self._partitions)
        # assign() forgets the position of every partition, also of those that it had before: seek each one again.
        for partition, offset in positions.items():
            self._consumer.seek(TopicPartition(*partition), offset)

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        wanted = [partition for partition in self._partitions if topic in ("", partition.topic)]
        # A reader that waits for nothing, or always finds something, must still let others run.
        await asyncio.sleep(0)
        while True:
            await self._probe.check(self._partitions)
            remaining = deadline - loop.time()
            if not wanted:
                await asyncio.sleep(max(0.0, remaining))
                return []
            try:
                with as_unavailable("reading", self._servers):
                    slice_ms = max(0, int(min(remaining, SLICE) * 1000))
                    found = await self._consumer.getmany(*(wanted if topic else ()), timeout_ms=slice_ms, max_records=max_records)
            except BusUnavailable as unavailable:
                if not isinstance(unavailable.__cause__, OffsetOutOfRangeError):
                    raise
                await self._move_into_range(unavailable.__cause__.args[0])
                continue
            if found or remaining <= SLICE:
                return _in_order(found)

    async def _move_into_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """What retention took is passed over. A position behind the end means another log, which is never read in silence."""
        for partition, position in positions.items():
            first = await self._ends.beginning_offset(partition)
            if position > first:
                raise BusUnavailable(f"{partition.topic}/{partition.partition} ends before {position}: was its log replaced?")
            self._consumer.seek(partition, first)

    async def close(self) -> None:
        await self._probe.close()
        await self._consumer.stop()


class KafkaGroupReader:
    def __init__(self, consumer: AIOKafkaConsumer, topics: Sequence[str], ends: KafkaEndOffsets, connection: Connection) -> None:
        self._consumer = consumer
        self._topics = tuple(topics)
        self._ends = ends
        self._probe = Probe(ends)
        self._servers = connection.servers

    async def read(self, *, max_records: int = 500, timeout: float = 1.0) -> list[Received]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            await self._probe.check(self._consumer.assignment() or self._known())
            remaining = deadline - loop.time()
            with as_unavailable("reading", self._servers):
                found = await self._consumer.getmany(timeout_ms=max(0, int(min(remaining, SLICE) * 1000)), max_records=max_records)
            if found or remaining <= SLICE:
                return _in_order(found)

    def _known(self) -> list[TopicPartition]:
        """What tells whether the bus is there while this member has no partition."""
        return [TopicPartition(topic, 0) for topic in self._topics if self._consumer.partitions_for_topic(topic)]

    async def commit(self, records: Sequence[Received]) -> None:
        mine = self._consumer.assignment()
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            if partition in mine and (partition not in offsets or offsets[partition].offset <= record.offset):
                offsets[partition] = OffsetAndMetadata(record.offset + 1, "")
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            # Another member has these partitions now and does the records again, which is what idempotent handlers are for.
            return
        except (KafkaError, OSError) as error:
            raise BusUnavailable(f"committing: Kafka at {self._servers} does not answer ({type(error).__name__}: {error})") from error

    async def lag(self) -> dict[str, int]:
        behind = dict.fromkeys(self._topics, 0)
        mine = sorted(self._consumer.assignment())
        ends = await self._ends.end_offsets([(partition.topic, partition.partition) for partition in mine])
        for partition in mine:
            with as_unavailable("asking for committed offsets", self._servers):
                committed = await self._consumer.committed(partition)
            start = await self._ends.beginning_offset(partition) if committed is None else committed
            behind[partition.topic] += max(0, ends[partition.topic, partition.partition] - start)
        return behind

    async def close(self) -> None:
        await self._probe.close()
        await self._consumer.stop()


def _in_order(found: Mapping[TopicPartition, Sequence[Any]]) -> list[Received]:
    """One partition after the other. kafka_fetching has made each record a Received, whatever aiokafka's types say."""
    return list(chain.from_iterable(found.values()))
