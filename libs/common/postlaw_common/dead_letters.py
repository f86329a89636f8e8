"""Reads what lies in the dead-letter topics, and sends it back."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common import dlq
from postlaw_common.bus import Bus, Received
from postlaw_common.bus.once import whole_topic


class NoSuchLetter(Exception):
    """Nothing is parked there; the message names the place."""


class AlreadyReplayed(Exception):
    """The letter was sent back before; the message names it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A parked record. `topic`, `partition`, `offset`: where it had come from; `name`: where it is parked."""

    name: str
    type: str
    event_id: str
    subject: str
    tenant_id: str
    topic: str
    partition: int
    offset: int
    consumer: str
    attempts: int
    reason: str
    parked_us: int
    replayed: bool
    record: Received


async def find_all(bus: Bus, topic: str) -> list[Letter]:
    """Those of one topic (its own name, without `.dlq`), by partition, oldest first. Raises BusUnavailable."""
    await bus.ensure_topics([dlq.topic_of(topic)])
    records = [record async for page in whole_topic(bus, topic + dlq.SUFFIX) for record in page]
    replayed = {(record.partition, int(record.headers[dlq.REPLAYED])) for record in records if dlq.REPLAYED in record.headers}
    letters = [record for record in records if dlq.REASON in record.headers]
    return sorted(
        (_letter(record, (record.partition, record.offset) in replayed) for record in letters),
        key=lambda letter: (letter.record.partition, letter.record.offset),
    )


async def find(bus: Bus, topic: str, partition: int, offset: int) -> Letter:
    """Raises NoSuchLetter, BusUnavailable."""
    for letter in await find_all(bus, topic):
        if (letter.record.partition, letter.record.offset) == (partition, offset):
            return letter
    raise NoSuchLetter(f"{topic}/{partition}/{offset}")


async def send_back(bus: Bus, letter: Letter) -> None:
    """To its own topic first, then the note beside it: a crash in between leaves it listed, and events are idempotent."""
    await bus.publish([dlq.replayed(letter.record)])
    await bus.publish([dlq.marker(letter.record)])


def _letter(record: Received, replayed: bool) -> Letter:
    def text(header: str) -> str:
        return record.headers.get(header, b"").decode(errors="replace")

    return Letter(
        name=f"{text(dlq.TOPIC)}/{record.partition}/{record.offset}",
        type=text("ce_type"),
        event_id=text("ce_id"),
        subject=text("ce_subject"),
        tenant_id=text("ce_tenant"),
        topic=text(dlq.TOPIC),
        partition=int(text(dlq.PARTITION)),
        offset=int(text(dlq.OFFSET)),
        consumer=text(dlq.CONSUMER),
        attempts=int(text(dlq.ATTEMPTS)),
        reason=text(dlq.REASON),
        parked_us=int(text(dlq.TIME)),
        replayed=replayed,
        record=record,
    )
