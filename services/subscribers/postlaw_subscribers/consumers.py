"""Our own events back to us: what a crash left half done behind a person's document is finished when its event arrives."""

from __future__ import annotations

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_common.events import from_record
from postlaw_subscribers.rooms import TOPIC, Rooms
from postlaw_subscribers.use_cases.settle_person import settle_changed, settle_deleted


def settling(rooms: Rooms) -> Consumer:
    async def handle(records: list[Received]) -> None:
        for record in records:
            event = from_record(record)
            if event.type == "postlaw.subscribers.SubscriberChanged":
                changed = pb.SubscriberChanged.FromString(event.data)
                await settle_changed(rooms, changed.tenant_id, changed.address_key, changed.version)
            elif event.type == "postlaw.subscribers.SubscriberDeleted":
                deleted = pb.SubscriberDeleted.FromString(event.data)
                await settle_deleted(rooms, deleted.tenant_id, deleted.address_key, deleted.subscriber_id)

    return Consumer(group="subscribers-settling", topics=(TOPIC,), handler=handle)
