"""Make, read, change and page through a customer's lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_common.outbox import add_to_outbox
from postlaw_common.store import AlreadyExists, VersionConflict
from postlaw_law.territories import time_zones
from postlaw_subscribers.domain.person import MailingList, brand_problem
from postlaw_subscribers.lists import from_document, to_document
from postlaw_subscribers.rooms import Rooms

_DEFAULT_PAGE = 50
_LARGEST_PAGE = 200


async def create_list(
    rooms: Rooms, tenant_id: str, name: str, description: str, brand: str, time_zone: str, idempotency_key: str
) -> MailingList:
    """The new list, or the one that this key made before. Raises Invalid, KeyReused."""
    if problem := brand_problem(brand):
        raise Invalid("That is no name of a brand.", fields=[FieldError("brand", problem)])
    _require_zone(time_zone)
    said = [name, description, *([brand] if brand else []), *([f"time zone {time_zone}"] if time_zone else [])]
    request, asked = RequestKey(tenant_id, idempotency_key), fingerprint(*said)
    created = MailingList(tenant_id, new_id("lst"), name, description, rooms.now_us(), 1, brand, time_zone=time_zone)
    document = add_to_outbox(to_document(created) | request.note(asked), [rooms.events.list_created(created)])
    try:
        await rooms.lists.documents.insert(document)
    except AlreadyExists:
        made = await request.made(rooms.lists.documents, asked)
        if made is None:
            raise
        return from_document(made)
    await rooms.outbox.publish_after_write(rooms.lists.documents, document)
    return created


async def set_profile_fields(rooms: Rooms, tenant_id: str, list_id: str, fields: Sequence[str]) -> MailingList:
    """The list with these, each once; the same again changes nothing. Raises Invalid, NotFound."""
    if not all(0 < len(name) <= 100 and name.isprintable() for name in fields):
        raise Invalid("Those are no fields.", fields=[FieldError("profile_fields", "must have 1 to 100 characters each")])
    wanted = tuple(dict.fromkeys(fields))
    return await _changed(rooms, tenant_id, list_id, lambda known: replace(known, profile_fields=wanted))


async def set_time_zone(rooms: Rooms, tenant_id: str, list_id: str, time_zone: str) -> MailingList:
    """The list with this one, "" for none; the same again changes nothing. Raises Invalid, NotFound."""
    _require_zone(time_zone)
    return await _changed(rooms, tenant_id, list_id, lambda known: replace(known, time_zone=time_zone))


async def _changed(rooms: Rooms, tenant_id: str, list_id: str, change: Callable[[MailingList], MailingList]) -> MailingList:
    while (document := await rooms.lists.documents.get(f"{tenant_id}/{list_id}", linearizable=True)) is not None:
        known = from_document(document)
        changed = change(known)
        if changed == known:
            return known
        changed = replace(changed, version=known.version + 1)
        try:
            written = await rooms.lists.documents.replace(
                add_to_outbox(document | to_document(changed), [rooms.events.list_changed(changed)]), version=document["v"]
            )
        except VersionConflict:
            continue
        await rooms.outbox.publish_after_write(rooms.lists.documents, written)
        return changed
    raise NotFound(f"There is no list {list_id}.")


def _require_zone(time_zone: str) -> None:
    if time_zone and time_zone not in time_zones():
        raise Invalid("That is no time zone.", fields=[FieldError("time_zone", "is not the IANA name of a zone, like Europe/Berlin")])


async def get_list(rooms: Rooms, tenant_id: str, list_id: str) -> MailingList:
    """Raises NotFound, also for another customer's list."""
    found = await rooms.lists.get(tenant_id, list_id)
    if found is None:
        raise NotFound(f"There is no list {list_id}.")
    return found


async def list_lists(rooms: Rooms, tenant_id: str, page_size: int, page_token: str) -> tuple[list[MailingList], str]:
    """(a page in order of making, the next page's token or "")."""
    if page_size < 0 or "/" in page_token:
        raise Invalid("page_size must not be negative, and page_token must come from the page before.")
    size = min(page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
    found = await rooms.lists.page(tenant_id, page_token, size + 1)
    return found[:size], found[size - 1].list_id if len(found) > size else ""
