"""What consent hears of others: the names and brands of new lists."""

from __future__ import annotations

from postlaw.subscribers.v1.subscribers_pb2 import ListCreated
from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_common.events import from_record
from postlaw_consent.domain.preferences import Listed
from postlaw_consent.list_names import ListNames

LISTS = "postlaw.subscribers.events.v1"


def learning_names(names: ListNames) -> Consumer:
    async def handle(records: list[Received]) -> None:
        heard: dict[tuple[str, str], Listed] = {}
        for record in records:
            event = from_record(record)
            if event.type == "postlaw.subscribers.ListCreated":
                created = ListCreated.FromString(event.data).list
                heard[event.tenant_id, created.list_id] = Listed(created.name, created.brand)
        if heard:
            await names.keep(heard)

    return Consumer(group="consent-list-names", topics=(LISTS,), handler=handle)
