"""A person goes: `gone` in their own document first, then copies and profile key; the document last. Each step may be repeated."""

from __future__ import annotations

from postlaw_common.errors import NotFound, Unavailable, VersionMismatch
from postlaw_common.outbox import add_to_outbox
from postlaw_common.store import Document, VersionConflict
from postlaw_subscribers.people import address_key_of, is_gone, tenant_of
from postlaw_subscribers.rooms import Rooms


async def delete_subscriber(rooms: Rooms, tenant_id: str, id: str, if_version: int) -> None:
    """Destroys the profile key and removes person and memberships; the proof key stays. Raises NotFound, VersionMismatch."""
    while True:
        known = await rooms.people.by_id(tenant_id, id)
        if known is None:
            raise NotFound("There is no such subscriber.")
        if if_version and known["revision"] != if_version:
            raise VersionMismatch(f"The subscriber is at version {known['revision']}, not {if_version}. Read it again.")
        gone = _gone(known)
        event = rooms.events.subscriber_deleted(tenant_id, id, address_key_of(known), gone["revision"])
        try:
            written = await rooms.people.documents.replace(add_to_outbox(gone, [event]), version=known["v"])
        except VersionConflict:
            continue
        await _strip(rooms, written)
        if await rooms.outbox.publish_after_write(rooms.people.documents, written) is not None:
            await rooms.people.documents.delete(written["_id"])
        return


async def clear_away(rooms: Rooms, gone: Document) -> None:
    """Finishes what a deletion or a move began, so that the address is free. What is still to be announced is announced first.

    Raises Unavailable."""
    await _strip(rooms, gone)
    if await rooms.outbox.publish_after_write(rooms.people.documents, gone) is None:
        raise Unavailable("The bus cannot be reached, so an earlier deletion at this address is not announced yet. Try again.")
    await rooms.people.documents.delete(gone["_id"])


async def leave_address(rooms: Rooms, tenant_id: str, address_key: bytes, subscriber_id: str) -> None:
    """The person has another address now: what hung on the old one goes, without being a deletion. Safe to repeat."""
    while True:
        known = await rooms.people.by_key(tenant_id, address_key)
        if known is None or known["subscriber_id"] != subscriber_id:
            return
        if not is_gone(known):
            try:
                known = await rooms.people.documents.replace(_gone(known), version=known["v"])
            except VersionConflict:
                continue
        await clear_away(rooms, known)
        return


def _gone(known: Document) -> Document:
    """What is left of the document while the rest is removed: no profile; the lists whose copies must go."""
    kept = {name: known[name] for name in ("_id", "subscriber_id", "created_us") if name in known}
    waiting = {name: known[name] for name in ("outbox", "outbox_due", "outbox_at_us") if name in known}
    lists = sorted({*known["list_ids"], *known.get("left", ())})
    return kept | waiting | {"gone": True, "list_ids": lists, "updated_us": known["updated_us"], "revision": known["revision"] + 1}


async def _strip(rooms: Rooms, gone: Document) -> None:
    tenant_id, address_key = tenant_of(gone), address_key_of(gone)
    await rooms.person_keys.destroy_profile_key(tenant_id, address_key)
    await rooms.members.remove(tenant_id, address_key, gone["list_ids"])
    await rooms.people.forget_pointer(tenant_id, gone["subscriber_id"], address_key)
