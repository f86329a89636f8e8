"""The bus as telemetry sees it: how long a publish takes, and the trace that a record is part of. Only where somebody reads that."""

from __future__ import annotations

import time
from collections.abc import Sequence

from opentelemetry.trace import SpanKind

from postlaw_common.bus import Bus, BusUnavailable, EndOffsets, GroupReader, Reader, Received, Record, Topic
from postlaw_common.telemetry import meter
from postlaw_common.telemetry.spans import TRACEPARENT, outgoing, sampled, span

FEW = 16  # records in one publish that each carry the trace; in a bulk nobody could follow one, and it would cost every record a copy
BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]

_duration = meter(__name__).create_histogram(
    "messaging.client.operation.duration",
    unit="s",
    description="Publishes, each of one or more records, until all are durable",
    explicit_bucket_boundaries_advisory=BUCKETS_S,
)


class MeasuredBus:
    """Another bus, with every publish measured. `system`: "kafka" or "embedded"."""

    def __init__(self, bus: Bus, system: str) -> None:
        self._bus = bus
        self._system = system

    @property
    def partitions(self) -> int:
        return self._bus.partitions

    async def start(self) -> None:
        await self._bus.start()

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        await self._bus.ensure_topics(topics)

    async def publish(self, records: Sequence[Record]) -> list[int]:
        if not records:
            return []
        topic = records[0].topic
        about: dict[str, str | int] = {
            "messaging.system": self._system,
            "messaging.operation.name": "publish",
            "messaging.destination.name": topic,
        }
        began = time.perf_counter()
        try:
            if not sampled(outgoing()):  # nobody's trace: a span would tell less than the histogram
                return await self._bus.publish(records)
            with span(f"publish {topic}", SpanKind.PRODUCER, attributes={**about, "messaging.batch.message_count": len(records)}):
                return await self._bus.publish(_carrying(records, outgoing().encode()) if len(records) <= FEW else records)
        except BusUnavailable:
            about["error.type"] = "unavailable"
            raise
        finally:
            _duration.record(time.perf_counter() - began, about)

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> Reader:
        return await self._bus.reader(unhurried=unhurried, standing=standing)

    async def group(self, group: str, topics: Sequence[str]) -> GroupReader:
        return await self._bus.group(group, topics)

    async def end_offset_client(self) -> EndOffsets:
        return await self._bus.end_offset_client()

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        return await self._bus.read_range(topic, partition, start, end)

    async def close(self) -> None:
        await self._bus.close()


def _carrying(records: Sequence[Record], traceparent: bytes) -> list[Record]:
    """Those that were not made within a trace of their own become part of this one."""
    return [r if TRACEPARENT in r.headers else r._replace(headers={**r.headers, TRACEPARENT: traceparent}) for r in records]
