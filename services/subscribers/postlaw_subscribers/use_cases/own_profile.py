"""A person sees what is kept of them, and corrects it by themselves: on a page that consent has let them onto."""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_common.errors import FieldError, Invalid, NotFound, VersionMismatch
from postlaw_common.store import VersionConflict
from postlaw_subscribers.domain.person import OwnProfile, Person
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.put_subscriber import change, put_subscriber
from postlaw_subscribers.use_cases.resolve_person import opened

_MOST_SHOWN = 20


async def own_profile(rooms: Rooms, tenant_id: str, *, address_key: bytes = b"", subscriber_id: str = "") -> OwnProfile:
    """Raises NotFound, also where the profile key is destroyed."""
    document = await (rooms.people.by_id(tenant_id, subscriber_id) if subscriber_id else rooms.people.by_key(tenant_id, address_key))
    person = await opened(rooms, tenant_id, document)
    if person is None:
        raise NotFound("There is no such subscriber.")
    return await _shown(rooms, person)


async def correct_profile(
    rooms: Rooms, tenant_id: str, subscriber_id: str, fields: Mapping[str, str], address: str, if_version: int
) -> OwnProfile:
    """Changes these fields, and the address where one is given; nothing else. The same again changes nothing.

    Raises NotFound, Invalid (also for a field that the person does not see), VersionMismatch, Conflict (the address is another
    person's)."""
    own = await own_profile(rooms, tenant_id, subscriber_id=subscriber_id)
    before = own.person
    if hidden := set(fields) - set(own.shown):
        raise Invalid("That is not for the person to change.", fields=[FieldError("fields", f"{min(hidden)} is not shown to them")])
    if if_version not in (0, before.version):
        raise VersionMismatch(f"The subscriber is at version {before.version}, not {if_version}. Read it again.")
    wanted = {**before.profile.fields, **fields}
    to = address or before.profile.address
    return await _shown(rooms, await put_subscriber(rooms, tenant_id, subscriber_id, to, wanted, before.list_ids, before.version))


async def set_language(rooms: Rooms, tenant_id: str, address_key: bytes, language: str) -> bool:
    """Whether it was so before. Raises NotFound."""
    while True:
        document = await rooms.people.by_key(tenant_id, address_key)
        person = await opened(rooms, tenant_id, document)
        if person is None or document is None:
            raise NotFound("There is no such subscriber.")
        if person.language == language:
            return True
        try:
            await change(rooms, document, person.profile, person.list_ids, language=language)
        except VersionConflict:
            continue
        return False


async def _shown(rooms: Rooms, person: Person) -> OwnProfile:
    names: dict[str, None] = {}
    for list_id in person.list_ids:
        found = await rooms.lists.get(person.tenant_id, list_id)
        names |= dict.fromkeys(found.profile_fields if found else ())
    return OwnProfile(person, tuple(names)[:_MOST_SHOWN])
