"""aiokafka's fetcher, mended for how we read.

- A fetch that is cancelled ends quietly wherever it stands, as its own callers take for granted. In aiokafka 0.14 one that waits to be
  tried again (its broker is gone) does not. On `stop` its cancellation comes out as if the caller had been cancelled, whose task then
  ends and nobody is told; on a new assignment it ends the loop that fetches, and the consumer returns nothing any more.
- A consumer may be `unhurried`: what it has just been given is followed by a pause, in which more gathers. A fetch names every partition
  that is read, in question and answer, and ends with the first record that comes: where records come steadily, one consumer of twenty
  topics asked a hundred times a second for a record each, at some 5 ms of its own and the broker's processor time.
- A consumer may be `standing`: it asks for all of its partitions or for none. Where one's records have not been taken for a tenth of a
  second, aiokafka asks for the others alone, and for nothing else until that is answered: what comes for the one waits as long.
- A record comes out as our own Received at once. aiokafka's ConsumerRecord, made into one in a second pass, costs a third of all reading.

`mend` may be called as often as one likes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords

from postlaw_common.bus import Received

_FETCH = "_proc_fetch_request"  # (assignment, node id, request) -> whether to wake whoever waits for records
_RECORD = "_consumer_record"  # (partition, decoded record) -> what a consumer returns
_MENDED = "postlaw_mended"
_FETCHER = "_fetcher"  # of a consumer, once it has started
_BACKOFF = "_prefetch_backoff"  # of a fetcher, seconds that it waits for whoever takes what it has before it asks for the rest alone
_WAIT = "_fetch_max_wait_ms"  # of a fetcher
_PACE = "postlaw_pace"  # of an unhurried consumer's fetcher

GROUP_PAUSE_S = 0.5  # after a fetch that found something, which a commit follows: two requests, while nobody waits for a group (ADR 62)
READER_PAUSE_S = 0.25  # of the log's writer, which reads every topic: of 400 partitions a fetch costs it and the broker 5 ms each
STANDING_WAIT_MS = 2000  # of a fetch that finds nothing; another's is aiokafka's, 500
_ALL_TAKEN_S = 3600.0


@dataclass(slots=True)
class _Pace:
    """`next_at`: by node, when on the loop's clock it may be asked again."""

    pause_s: float
    next_at: dict[int, float] = field(default_factory=dict[int, float])


def mend() -> None:
    fetch = getattr(Fetcher, _FETCH)
    if hasattr(fetch, _MENDED):
        return

    async def fetch_quietly(self: Fetcher, assignment: Any, node_id: int, request: Any) -> bool:
        try:
            pace: _Pace | None = getattr(self, _PACE, None)
            if pace is None:
                return await fetch(self, assignment, node_id, request)
            loop = asyncio.get_running_loop()
            await asyncio.sleep(pace.next_at.get(node_id, 0.0) - loop.time())
            found = await fetch(self, assignment, node_id, request)
            if found:
                pace.next_at[node_id] = loop.time() + pace.pause_s
            return found
        except asyncio.CancelledError:
            return False

    setattr(fetch_quietly, _MENDED, True)
    setattr(Fetcher, _FETCH, fetch_quietly)
    getattr(PartitionRecords, _RECORD)  # AttributeError where another aiokafka names it otherwise
    setattr(PartitionRecords, _RECORD, _received)


def unhurried(consumer: AIOKafkaConsumer, pause_s: float) -> None:
    """A started one, which from here on waits so many seconds after each fetch that found something."""
    setattr(getattr(consumer, _FETCHER), _PACE, _Pace(pause_s))


def standing(consumer: AIOKafkaConsumer) -> None:
    """A started one, which from here on asks for all of its partitions or for none, and waits longer for something to come."""
    fetcher = getattr(consumer, _FETCHER)
    for name, value in ((_BACKOFF, _ALL_TAKEN_S), (_WAIT, STANDING_WAIT_MS)):
        getattr(fetcher, name)  # AttributeError where another aiokafka names it otherwise
        setattr(fetcher, name, value)


def _received(_: PartitionRecords, partition: TopicPartition, record: Any) -> Received:
    headers: dict[str, bytes] = dict(record.headers)
    if None in headers.values():  # a header's value may be null on Kafka, like a record's
        headers = {name: value or b"" for name, value in headers.items()}
    return Received(partition.topic, partition.partition, record.offset, record.value or b"", record.key, headers, record.timestamp * 1000)
