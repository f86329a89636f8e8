"""From ledger to bus: the records of consent events and of answers."""

from __future__ import annotations

from collections.abc import Sequence

from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.events import Event, to_record
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.ledger import Entry, Line

EVENTS = Topic("postlaw.consent.events.v1")
ANSWERS = Topic("postlaw.consent.answers.v1")

_TYPE = "postlaw.consent.ConsentEvent"


def record_of(event: ConsentEvent, data: bytes, partition: int) -> Record:
    """The same record whoever publishes it, at once or the relay after a crash: everything in it is the event's own."""
    return to_record(
        Event(
            id=event.event_id,
            type=_TYPE,
            source="consent",
            subject=event.person,
            sequence=event.version,
            tenant_id=event.tenant_id,
            time_us=event.recorded_at_us,
            data=data,
            actor=str(event.actor),
            on_behalf_of=str(event.on_behalf_of) if event.on_behalf_of else "",
        ),
        EVENTS.name,
        partition,
    )


class Outgoing:
    """What is published again is told by the stored bytes alone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, entries: Sequence[Entry]) -> list[int]:
        """Their offsets, in order, once durable. Raises BusUnavailable."""
        return await self.publish_records([record_of(entry.event, entry.data, entry.partition) for entry in entries])

    async def publish_records(self, records: Sequence[Record]) -> list[int]:
        return await self._bus.publish(records)

    async def publish_lines(self, lines: Sequence[Line]) -> list[int]:
        """The same for ledger documents."""
        return await self._bus.publish([record_of(line.event(), line.data, line.partition) for line in lines])
