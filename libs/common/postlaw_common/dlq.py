"""Dead letters: `<topic>.dlq` holds, byte for byte, the records that a consumer could not handle, with the reason in headers."""

from __future__ import annotations

import time

from postlaw_common.bus import Received, Record, Topic

SUFFIX = ".dlq"
RETENTION_DAYS = 90  # longer than the topics': somebody must find the time to look

REASON = "dlq_reason"  # the failure in words free of personal data (telemetry.failures.describe)
TOPIC = "dlq_topic"
PARTITION = "dlq_partition"
OFFSET = "dlq_offset"
ATTEMPTS = "dlq_attempts"
CONSUMER = "dlq_consumer"  # the group that failed; on a replayed record: the only one that takes it
TIME = "dlq_time_us"
REPLAYED = "dlq_replayed_offset"  # on a marker without a value: the letter of this partition and offset was sent back


def topic_of(topic: str) -> Topic:
    return Topic(topic + SUFFIX, retention_days=RETENTION_DAYS)


def letter(record: Received, *, reason: str, attempts: int, consumer: str, partitions: int) -> Record:
    """The record as it is parked. `partitions`: how many the dead-letter topic has."""
    headers = dict(record.headers) | {
        REASON: reason.encode(),
        TOPIC: record.topic.encode(),
        PARTITION: str(record.partition).encode(),
        OFFSET: str(record.offset).encode(),
        ATTEMPTS: str(attempts).encode(),
        CONSUMER: consumer.encode(),
        TIME: str(time.time_ns() // 1000).encode(),
    }
    return Record(record.topic + SUFFIX, record.partition % partitions, record.value, record.key, headers)


def replayed(letter: Received) -> Record:
    """The parked record on its way back to its own topic and partition, for the consumer that had failed."""
    headers = {name: value for name, value in letter.headers.items() if not name.startswith("dlq_")}
    headers[CONSUMER] = letter.headers[CONSUMER]
    return Record(letter.headers[TOPIC].decode(), int(letter.headers[PARTITION]), letter.value, letter.key, headers)


def marker(letter: Received) -> Record:
    """Notes beside the letter, in its own partition, that it was sent back."""
    return Record(letter.topic, letter.partition, b"", letter.key, {REPLAYED: str(letter.offset).encode()})


def concerns(record: Received, consumer: str) -> bool:
    """False for a replayed record that only another consumer had failed on."""
    target = record.headers.get(CONSUMER)
    return target is None or target == consumer.encode()
