"""The people of a list, opened for sending: partition by partition, in ascending order of address key, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from postlaw_common.crypto import SealBroken
from postlaw_common.errors import Invalid
from postlaw_common.foreground import step_aside
from postlaw_common.telemetry import get_logger
from postlaw_subscribers.members import address_key_of, opener
from postlaw_subscribers.people import from_document, is_gone
from postlaw_subscribers.person_keys import document_id
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.lists import get_list

_READ_AHEAD = 1000  # members that the store hands over at once, whatever the size of a page
_DEFAULT_PAGE = 200
_LARGEST_PAGE = 1000
_AT_ONCE = 200  # people opened before others get their turn on the event loop: about half a millisecond
_ASKED_AT_ONCE = 200  # people asked of the store in one question

_log = get_logger(__name__)


async def stream_audience(
    rooms: Rooms, tenant_id: str, list_id: str, partition: int, after: bytes, page_size: int
) -> AsyncGenerator[tuple[list[bytes], bytes]]:
    """Pages of `page_size`, the last one shorter: (address keys, an AudiencePeople of these people). Raises NotFound, Invalid;
    StoreUnavailable also amid the pages: then ask again after the last one."""
    await get_list(rooms, tenant_id, list_id)
    if not 0 <= partition < rooms.placement().partitions or page_size < 0:
        raise Invalid(f"partition must lie in 0 … {rooms.placement().partitions - 1}, and page_size must not be negative.")
    size = min(page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
    open_member = opener(list_id, await rooms.person_keys.wrapping(tenant_id))
    keys: list[bytes] = []
    people: list[bytes] = []
    async with aclosing(rooms.members.pages(list_id, partition, after, _READ_AHEAD)) as pages:
        async for found in pages:
            for start in range(0, len(found), _AT_ONCE):
                for document in found[start : start + _AT_ONCE]:
                    address_key = address_key_of(document)
                    try:
                        people.append(open_member(address_key, document))
                    except SealBroken:
                        # A damaged copy concerns one person; a campaign to all others goes on.
                        _log.error("a member cannot be opened", document_id=document["_id"])
                    else:
                        keys.append(address_key)
                while len(keys) >= size:
                    yield keys[:size], b"".join(people[:size])
                    del keys[:size], people[:size]
                await step_aside()
    if keys:
        yield keys, b"".join(people)


async def open_people(rooms: Rooms, tenant_id: str, address_keys: Sequence[bytes]) -> bytes:
    """An AudiencePeople of the people under these keys as they are now, in the order asked; who is gone is left out."""
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    opened: list[bytes] = []
    for start in range(0, len(address_keys), _ASKED_AT_ONCE):
        part = list(dict.fromkeys(address_keys[start : start + _ASKED_AT_ONCE]))
        keys = await rooms.person_keys.open_many(wrapping, part)
        documents = await rooms.people.documents.get_many([document_id(tenant_id, key) for key in part])
        for address_key in part:
            document = documents.get(document_id(tenant_id, address_key))
            if document is None or is_gone(document) or address_key not in keys:
                continue
            person = from_document(document, keys[address_key])
            opened.append(rooms.members.encode(address_key, person.subscriber_id, person.profile.address, person.profile.fields))
    return b"".join(opened)
