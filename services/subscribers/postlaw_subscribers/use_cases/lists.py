"""Make, read and page through a customer's lists."""

from __future__ import annotations

from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_common.outbox import add_to_outbox
from postlaw_common.store import AlreadyExists
from postlaw_subscribers.domain.person import MailingList, brand_problem
from postlaw_subscribers.lists import from_document, to_document
from postlaw_subscribers.rooms import Rooms

_DEFAULT_PAGE = 50
_LARGEST_PAGE = 200


async def create_list(rooms: Rooms, tenant_id: str, name: str, description: str, brand: str, idempotency_key: str) -> MailingList:
    """The new list, or the one that this key made before. Raises Invalid, KeyReused."""
    if problem := brand_problem(brand):
        raise Invalid("That is no name of a brand.", fields=[FieldError("brand", problem)])
    request, asked = RequestKey(tenant_id, idempotency_key), fingerprint(name, description, *([brand] if brand else []))
    created = MailingList(tenant_id, new_id("lst"), name, description, rooms.now_us(), 1, brand)
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
