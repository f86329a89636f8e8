"""Finishes what hangs on a person's document: copies on lists, the pointer of a moved person, the rest of a deleted one. Safe to repeat."""

from __future__ import annotations

from postlaw_subscribers.people import from_document, is_gone
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.meet_suppressions import meet_suppressions
from postlaw_subscribers.use_cases.put_subscriber import finish_move, keep_in_step
from postlaw_subscribers.use_cases.remove_person import clear_away


async def settle_changed(rooms: Rooms, tenant_id: str, address_key: bytes, version: int) -> None:
    """Does nothing where the person has changed since: that change has an event of its own."""
    document = await rooms.people.by_key(tenant_id, address_key)
    if document is None or is_gone(document) or document["revision"] != version:
        return
    keys = await rooms.person_keys.ensure(await rooms.person_keys.wrapping(tenant_id), address_key)
    await meet_suppressions(rooms, tenant_id, address_key, from_document(document, keys).profile.address)
    if "moved_from" in document:
        await finish_move(rooms, document)
    await keep_in_step(rooms, document, keys)


async def settle_deleted(rooms: Rooms, tenant_id: str, address_key: bytes, subscriber_id: str) -> None:
    document = await rooms.people.by_key(tenant_id, address_key)
    if document is not None and is_gone(document) and document["subscriber_id"] == subscriber_id:
        await clear_away(rooms, document)
