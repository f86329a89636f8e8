"""Once a list's digests are kept, the customer's people are gone through, a page at a time: who is there already meets them here."""

from __future__ import annotations

from collections.abc import Iterable

from postlaw_common.crypto import SealBroken
from postlaw_common.foreground import step_aside
from postlaw_common.store import Document
from postlaw_subscribers.domain.digest import Algorithm
from postlaw_subscribers.domain.import_job import GoneThrough
from postlaw_subscribers.people import address_key_of, from_document, is_gone
from postlaw_subscribers.person_keys import Keys, Wrapping
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.meet_suppressions import Person, named, stop

_PAGE = 4000
_AT_ONCE = 100  # people opened before others get their turn on the event loop: some milliseconds


async def go_through(rooms: Rooms, tenant_id: str, import_id: str, algorithm: Algorithm, so_far: GoneThrough) -> GoneThrough | None:
    """One page further; None where nobody is left. Only what this import keeps is looked for: whoever came with another has met that.

    Safe to repeat. Raises PostlawError, StoreUnavailable, SealBroken."""
    page = await rooms.people.page(tenant_id, so_far.after, _PAGE)
    if not page:
        return None
    living = [document for document in page if not is_gone(document)]
    people = await _addresses(rooms, tenant_id, living)
    found = [each for each in await named(rooms, tenant_id, [algorithm], people) if each.digest["import_id"] == import_id]
    await stop(rooms, tenant_id, found)
    matched = len({each.address_key for each in found})
    return GoneThrough(page[-1]["_id"], so_far.checked + len(living), so_far.matched + matched)


async def _addresses(rooms: Rooms, tenant_id: str, documents: Iterable[Document]) -> list[Person]:
    by_key = {address_key_of(document): document for document in documents}
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    keys: dict[bytes, Keys] = {}
    waiting = list(by_key)
    for start in range(0, len(waiting), _AT_ONCE):
        keys |= await rooms.person_keys.open_many(wrapping, waiting[start : start + _AT_ONCE])
        await step_aside()
    found: list[Person] = []
    for place, (address_key, document) in enumerate(by_key.items()):
        if place % _AT_ONCE == 0:
            await step_aside()
        address = await _address(rooms, wrapping, address_key, document, keys.get(address_key))
        if address:
            found.append(Person(address_key, address))
    return found


async def _address(rooms: Rooms, wrapping: Wrapping, address_key: bytes, document: Document, keys: Keys | None) -> str:
    """Empty where the person has gone, or their profile key. Raises SealBroken where they cannot be opened, though nobody came in their
    place between the two reads."""
    while True:
        broken: SealBroken | None = None
        try:
            if keys is not None:
                return from_document(document, keys).profile.address
        except SealBroken as failure:
            broken = failure
        now = await rooms.people.by_key(wrapping.tenant_id, address_key)
        if now is None or is_gone(now):
            return ""
        own = (await rooms.person_keys.open_many(wrapping, [address_key])).get(address_key)
        if (now, own) == (document, keys):
            if broken is not None:
                raise broken
            return ""
        document, keys = now, own
