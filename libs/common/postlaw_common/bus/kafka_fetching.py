"""aiokafka's fetcher, mended for how we read.

- A fetch that is cancelled ends quietly wherever it stands, as its own callers take for granted. In aiokafka 0.14 one that waits to be
  tried again (its broker is gone) does not. On `stop` its cancellation comes out as if the caller had been cancelled, whose task then
  ends and nobody is told; on a new assignment it ends the loop that fetches, and the consumer returns nothing any more.
- A record comes out as our own Received at once. aiokafka's ConsumerRecord, made into one in a second pass, costs a third of all reading.

`mend` may be called as often as one likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords

from postlaw_common.bus import Received

_FETCH = "_proc_fetch_request"  # (assignment, node id, request) -> whether to wake whoever waits for records
_RECORD = "_consumer_record"  # (partition, decoded record) -> what a consumer returns
_MENDED = "postlaw_mended"


def mend() -> None:
    fetch = getattr(Fetcher, _FETCH)
    if hasattr(fetch, _MENDED):
        return

    async def fetch_quietly(self: Fetcher, assignment: Any, node_id: int, request: Any) -> bool:
        try:
            return await fetch(self, assignment, node_id, request)
        except asyncio.CancelledError:
            return False

    setattr(fetch_quietly, _MENDED, True)
    setattr(Fetcher, _FETCH, fetch_quietly)
    getattr(PartitionRecords, _RECORD)  # AttributeError where another aiokafka names it otherwise
    setattr(PartitionRecords, _RECORD, _received)


def _received(_: PartitionRecords, partition: TopicPartition, record: Any) -> Received:
    headers: dict[str, bytes] = dict(record.headers)
    if None in headers.values():  # a header's value may be null on Kafka, like a record's
        headers = {name: value or b"" for name, value in headers.items()}
    return Received(partition.topic, partition.partition, record.offset, record.value or b"", record.key, headers, record.timestamp * 1000)
