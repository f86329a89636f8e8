"""Who looked at people's data (promises A1, G3): each such answer is a PersonalDataRead on the bus before it leaves.

Unlike a refusal it is waited for: with the bus away nobody is shown anything that the log would not know of.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from postlaw_common.bus import Bus
from postlaw_common.caller import current
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_gateway.naming import is_map
from postlaw_gateway.wire import ACCESS_TOPIC, READ_TYPE, personal_data_read

_OBJECTS = ("campaign_id", "import_id", "event_id", "report_id")  # of a request: of what the data of many people was read


class AccessEvents:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def reads(self, operation: str, path: str, asked: Message, answer: Message | None) -> None:
        """Notes that the caller is about to be shown `answer`. `path`: the route's template. Raises BusUnavailable."""
        caller = current()
        people: dict[str, dict[str | bytes, None]] = {"address_key": {}, "subscriber_id": {}}
        for message in (asked, answer):
            for name, value in _named(message) if message is not None else ():
                people[name][value] = None
        object_id = next((str(getattr(asked, name)) for name in _OBJECTS if name in asked.DESCRIPTOR.fields_by_name), "")
        data = personal_data_read(
            caller.tenant_id, caller.credential_id, operation, path, people["address_key"], people["subscriber_id"], object_id
        )
        subject = next((str(id) for id in people["subscriber_id"]), object_id or caller.credential_id)
        event = new_event(READ_TYPE, data, source="gateway", subject=subject, sequence=0, tenant_id=caller.tenant_id)
        await self._bus.publish([to_record(event, ACCESS_TOPIC, partition_of(subject, self._bus.partitions))])


def _named(message: Message) -> Iterator[tuple[str, str | bytes]]:
    """Whom a message names, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None and not is_map(field):
            for item in value if field.is_repeated else (value,):
                yield from _named(item)
        elif field.name in ("address_key", "subscriber_id") and not field.is_repeated:
            yield field.name, value
