"""The bus on Kafka, by aiokafka: an idempotent producer that waits for all in-sync replicas, and readers of their own clients."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from postlaw_common.bus import BusUnavailable, Received, Record, Topic, kafka_fetching, kafka_topics
from postlaw_common.bus.kafka_connection import as_unavailable, parse
from postlaw_common.bus.kafka_readers import KafkaEndOffsets, KafkaGroupReader, KafkaReader

PUBLISH_SECONDS = 5.0  # long enough for a broker's place to be taken by another, short enough for a caller to be told
BATCH_BYTES = 1 << 20  # aiokafka sends one batch a partition at a time
METADATA_MS = 30_000  # a place that has moved is looked up as soon as the old one does not answer; each look-up names all partitions


class KafkaBus:
    """`partitions` is the installation's count; `client_id` names this process in Kafka's own logs and quotas."""

    def __init__(self, url: str, *, partitions: int = 64, client_id: str = "postlaw") -> None:
        self._connection = parse(url, client_id)
        self._partitions = partitions
        self._producer: AIOKafkaProducer | None = None
        self._renewing = asyncio.Lock()
        self._sharing = asyncio.Lock()
        self._looking_back = asyncio.Lock()
        self._back: KafkaReader | None = None
        self._ends: KafkaEndOffsets | None = None

    @property
    def partitions(self) -> int:
        return self._partitions

    async def start(self) -> None:
        kafka_fetching.mend()
        self._producer = await self._new_producer()

    async def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._connection.options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,  # what comes while a request is under way is gathered anyway; 5 ms cost 5 ms on the stop's path
            max_batch_size=BATCH_BYTES,
            max_request_size=kafka_topics.LARGEST_RECORD,
            metadata_max_age_ms=METADATA_MS,
            request_timeout_ms=int(PUBLISH_SECONDS * 1000),
        )
        try:
            with as_unavailable("connecting", self._connection.servers):
                await producer.start()
        except BusUnavailable:
            await producer.stop()
            raise
        return producer

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        if not topics:
            return
        admin = AIOKafkaAdminClient(**self._connection.options, request_timeout_ms=30_000)
        try:
            with as_unavailable("ensuring topics", self._connection.servers):
                await admin.start()
                await kafka_topics.ensure(admin, topics, self._partitions, self._connection)
        finally:
            await admin.close()

    async def publish(self, records: Sequence[Record]) -> list[int]:
        producer = self._producer
        if producer is None:
            raise BusUnavailable("the bus is closed")
        sent: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                for record in records:
                    await self._know(producer, record)
                    headers = list(record.headers.items())
                    sent.append(
                        await producer.send(record.topic, record.value, key=record.key, partition=record.partition, headers=headers)
                    )
                return [(await future).offset for future in sent]
        except MessageSizeTooLargeError as error:
            raise ValueError(f"a record for the bus may take {kafka_topics.LARGEST_RECORD} bytes at most") from error
        except (KafkaError, TimeoutError, OSError) as error:
            # An idempotent producer goes on trying what it took, in order, so that a time-out leaves no hole in its numbers.
            # Any other error may be its end: a new one takes its place.
            if isinstance(error, KafkaError) and not isinstance(error, KafkaTimeoutError) and not error.retriable:
                await self._renew(producer)
            raise BusUnavailable(f"publishing: Kafka at {self._connection.servers} does not answer ({type(error).__name__})") from error
        finally:
            for future in sent:
                future.add_done_callback(_look_at)

    async def _know(self, producer: AIOKafkaProducer, record: Record) -> None:
        known = producer.client.cluster.partitions_for_topic(record.topic)
        if known is None or record.partition not in known:
            try:
                known = await producer.partitions_for(record.topic)
            except UnknownTopicOrPartitionError:
                known = set[int]()
            if record.partition not in known:
                raise KeyError(f"topic {record.topic} has no partition {record.partition}, or was never ensured")

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        async with self._renewing:
            if self._producer is broken:
                self._producer = await self._new_producer()
                await broken.stop()

    def _consumer(self, *topics: str, **more: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            *topics,
            **self._connection.options,
            enable_auto_commit=False,
            metadata_max_age_ms=METADATA_MS,
            max_partition_fetch_bytes=kafka_topics.LARGEST_RECORD,
            **more,
        )

    async def _started(self, consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
        try:
            with as_unavailable("connecting", self._connection.servers):
                await consumer.start()
        except BusUnavailable:
            await consumer.stop()
            raise
        return consumer

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> KafkaReader:
        consumer = await self._started(self._consumer(auto_offset_reset="none"))
        if unhurried:
            kafka_fetching.unhurried(consumer, kafka_fetching.READER_PAUSE_S)
        if standing:
            kafka_fetching.standing(consumer)
        return KafkaReader(consumer, await self._shared_ends(), self._connection)

    async def group(self, group: str, topics: Sequence[str]) -> KafkaGroupReader:
        consumer = self._consumer(
            *topics, group_id=group, auto_offset_reset="earliest", session_timeout_ms=10_000, heartbeat_interval_ms=3000
        )
        await self._started(consumer)
        kafka_fetching.unhurried(consumer, kafka_fetching.GROUP_PAUSE_S)
        kafka_fetching.standing(consumer)
        return KafkaGroupReader(consumer, topics, await self._shared_ends(), self._connection)

    async def end_offset_client(self) -> KafkaEndOffsets:
        return KafkaEndOffsets(await self._started(self._consumer()), self._connection)

    async def _shared_ends(self) -> KafkaEndOffsets:
        async with self._sharing:
            if self._ends is None:
                self._ends = await self.end_offset_client()
            return self._ends

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        async with self._looking_back:
            shared, place = await self._shared_ends(), TopicPartition(topic, partition)
            ends, first = await asyncio.gather(shared.end_offsets([(topic, partition)]), shared.beginning_offset(place))
            # Where retention took all of it, nothing would ever come of waiting for its last record.
            start, end = max(start, first), min(end, ends[topic, partition])
            if start >= end:
                return []
            if self._back is None:
                self._back = await self.reader()
            await self._back.assign({(topic, partition): start})
            found: list[Received] = []
            while not found or found[-1].offset < end - 1:
                found += await self._back.read(max_records=end - start)
            await self._back.assign({})
            return [record for record in found if record.offset < end]

    async def close(self) -> None:
        for client in (self._back, self._ends):
            if client is not None:
                await client.close()
        self._back = self._ends = None
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await producer.stop()
            except TimeoutError:
                return  # what it still held was never acknowledged to anybody


def _look_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
