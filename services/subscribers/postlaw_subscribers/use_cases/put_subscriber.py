"""A person is added or changed by hand: the person's document first, which is the truth; then the lists' copies of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from postlaw_common.crypto import SealBroken
from postlaw_common.errors import Conflict, FieldError, Invalid, NotFound, VersionMismatch
from postlaw_common.outbox import add_to_outbox
from postlaw_common.store import AlreadyExists, Document, VersionConflict
from postlaw_subscribers.domain.person import Person, Profile, subscriber_id
from postlaw_subscribers.people import address_key_of, from_document, is_gone, tenant_of, to_document
from postlaw_subscribers.person_keys import Keys
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.meet_suppressions import meet_suppressions
from postlaw_subscribers.use_cases.remove_person import clear_away, leave_address

MAX_FIELDS_CHARACTERS = 10_240
_REMEMBER_LEFT_US = 24 * 3600 * 1_000_000


async def put_subscriber(
    rooms: Rooms, tenant_id: str, id: str, address: str, fields: Mapping[str, str], list_ids: Sequence[str], if_version: int
) -> Person:
    """Sets the person's address, fields and lists to exactly these. With `id` empty the person is known by the address, or new.

    Raises Invalid, NotFound (person or list), VersionMismatch, Conflict (the address is another person's)."""
    normalised, address_key = await rooms.address_key(tenant_id, address)
    _check_fields(fields)
    await rooms.check_lists(tenant_id, list_ids)
    wanted = Profile(normalised, {name: value for name, value in fields.items() if value})
    lists = tuple(sorted(set(list_ids)))
    while True:
        known = await rooms.people.by_id(tenant_id, id) if id else await rooms.people.by_key(tenant_id, address_key)
        try:
            if known is None or is_gone(known):
                if id:
                    raise NotFound("There is no such subscriber.")
                if if_version:
                    raise VersionMismatch(f"Nobody is known by this address at version {if_version}. Leave if_version out.")
                if known is not None:
                    await clear_away(rooms, known)
                return await _add(rooms, tenant_id, address_key, wanted, lists)
            if if_version and known["revision"] != if_version:
                raise VersionMismatch(f"The subscriber is at version {known['revision']}, not {if_version}. Read it again.")
            if address_key_of(known) != address_key:
                return await _move(rooms, known, address_key, wanted, lists)
            return await change(rooms, known, wanted, lists)
        except (AlreadyExists, VersionConflict):
            continue  # somebody else wrote in between: judge anew by what stands there now


async def join_list(rooms: Rooms, tenant_id: str, address: str, list_id: str) -> Person:
    """Puts the person on the list, whether known or new, and leaves everything else about them as it is.

    Raises Invalid (the address), NotFound (the list)."""
    normalised, address_key = await rooms.address_key(tenant_id, address)
    await rooms.check_lists(tenant_id, [list_id])
    while True:
        known = await rooms.people.by_key(tenant_id, address_key)
        try:
            if known is None or is_gone(known):
                if known is not None:
                    await clear_away(rooms, known)
                return await _add(rooms, tenant_id, address_key, Profile(normalised, {}), (list_id,))
            keys = await rooms.person_keys.ensure(await rooms.person_keys.wrapping(tenant_id), address_key)
            there = from_document(known, keys)
            return await change(rooms, known, there.profile, tuple(sorted({*there.list_ids, list_id})))
        except (AlreadyExists, VersionConflict):
            continue  # somebody else wrote in between: judge anew by what stands there now


async def change(
    rooms: Rooms, known: Document, wanted: Profile, lists: tuple[str, ...], *, announce: bool = True, language: str | None = None
) -> Person:
    """Writes the person at the version read, if anything differs, and brings the copies in step. Raises VersionConflict.

    `announce` off: a row of an import, which looks all its people up in suppression lists together. `language` None: it stays."""
    tenant_id, address_key = tenant_of(known), address_key_of(known)
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    keys = await rooms.person_keys.ensure(wrapping, address_key)
    before = from_document(known, keys)
    changed = _changed(before, wanted, lists) + (["language"] if language not in (None, before.language) else [])
    if not changed:
        if announce:
            await meet_suppressions(rooms, tenant_id, address_key, wanted.address)  # an earlier try may have come no further
        return before
    now_us = rooms.now_us()
    chosen = before.language if language is None else language
    person = replace(before, profile=wanted, list_ids=lists, language=chosen, updated_us=now_us, version=before.version + 1)
    document = known | to_document(person, keys) | {"left": _left(known, lists, now_us)}
    if announce:
        add_to_outbox(document, [rooms.events.subscriber_changed(person, changed)])
    written = await rooms.people.documents.replace(document, version=known["v"])
    if announce:
        await meet_suppressions(rooms, tenant_id, address_key, wanted.address)
    await keep_in_step(rooms, written, keys)
    if announce:
        await rooms.outbox.publish_after_write(rooms.people.documents, written)
    return person


async def keep_in_step(rooms: Rooms, document: Document, keys: Keys) -> None:
    """The copies follow the document, and again if it changed meanwhile, so that the last writer's copies are the last."""
    tenant_id, address_key = tenant_of(document), address_key_of(document)
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    while True:
        unreadable: SealBroken | None = None
        try:
            await rooms.members.copy(from_document(document, keys), keys.generation, wrapping)
        except SealBroken as broken:  # the keys are those of whoever came after: then the document is another, too
            unreadable = broken
        await rooms.members.remove(tenant_id, address_key, document.get("left", ()))
        now = await rooms.people.documents.get(document["_id"], linearizable=True)
        if now is None or is_gone(now):
            # Deleted under our hands: the copies that we made must go, too.
            await rooms.members.remove(tenant_id, address_key, document["list_ids"])
            return
        if (now["revision"], now["subscriber_id"]) == (document["revision"], document["subscriber_id"]):
            if unreadable is not None:
                raise unreadable
            return
        document = now
        keys = await rooms.person_keys.ensure(wrapping, address_key)


async def _add(rooms: Rooms, tenant_id: str, address_key: bytes, profile: Profile, lists: tuple[str, ...]) -> Person:
    keys = await rooms.person_keys.ensure(await rooms.person_keys.wrapping(tenant_id), address_key)
    now_us = rooms.now_us()
    person = Person(tenant_id, address_key, subscriber_id(address_key, keys.generation), profile, lists, now_us, now_us, 1)
    document = add_to_outbox(to_document(person, keys), [rooms.events.subscriber_changed(person, _all_of(profile, lists))])
    await rooms.people.documents.insert(document)
    await meet_suppressions(rooms, tenant_id, address_key, profile.address)  # before the copies: by them they could be mailed
    await keep_in_step(rooms, document, keys)
    await rooms.outbox.publish_after_write(rooms.people.documents, document)
    return person


async def _move(rooms: Rooms, known: Document, address_key: bytes, wanted: Profile, lists: tuple[str, ...]) -> Person:
    """Another address, the same person (rectification): a document under the new address key, and the id leads there.

    Consent was given for an address: what was said at the old one stays with the old one, and the new one has none of its own."""
    tenant_id, old_key = tenant_of(known), address_key_of(known)
    there = await rooms.people.by_key(tenant_id, address_key)
    if there is not None and not is_gone(there):
        if there["subscriber_id"] == known["subscriber_id"]:
            await finish_move(rooms, there)  # a crash had left both documents
            raise VersionConflict("moved already")
        raise Conflict("Another subscriber has this address. Delete one of the two first.", type="address-taken")
    if there is not None:
        await clear_away(rooms, there)
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    before = from_document(known, await rooms.person_keys.ensure(wrapping, old_key))
    keys = await rooms.person_keys.ensure(wrapping, address_key)
    person = replace(before, address_key=address_key, profile=wanted, list_ids=lists, updated_us=rooms.now_us(), version=before.version + 1)
    changed = [*_changed(before, wanted, lists)]
    document = to_document(person, keys) | {"moved_from": old_key}
    add_to_outbox(document, [rooms.events.subscriber_changed(person, changed)])
    await rooms.people.documents.insert(document)
    await meet_suppressions(rooms, tenant_id, address_key, wanted.address)
    await finish_move(rooms, document)
    await keep_in_step(rooms, document, keys)
    await rooms.outbox.publish_after_write(rooms.people.documents, document)
    return person


async def finish_move(rooms: Rooms, document: Document) -> None:
    """The id leads to the new document, and the old address is left. Safe to repeat."""
    tenant_id, id = tenant_of(document), document["subscriber_id"]
    await rooms.people.point(tenant_id, id, address_key_of(document))
    await leave_address(rooms, tenant_id, document["moved_from"], id)


def _check_fields(fields: Mapping[str, str]) -> None:
    wrong = [FieldError("fields", "a field's name must have 1 to 100 characters") for name in fields if not 0 < len(name) <= 100]
    if sum(len(name) + len(value) for name, value in fields.items()) > MAX_FIELDS_CHARACTERS:
        wrong.append(FieldError("fields", f"together they may have {MAX_FIELDS_CHARACTERS} characters"))
    if any("\0" in name or "\0" in value for name, value in fields.items()):
        wrong.append(FieldError("fields", "a NUL character is not text"))
    if wrong:
        raise Invalid("The fields cannot be taken.", fields=wrong)


def _changed(before: Person, wanted: Profile, lists: tuple[str, ...]) -> list[str]:
    """What differs, by name and never by value."""
    changed = ["address"] if before.profile.address != wanted.address else []
    names = sorted({*before.profile.fields, *wanted.fields})
    changed += [f"fields.{name}" for name in names if before.profile.fields.get(name) != wanted.fields.get(name)]
    return changed + (["list_ids"] if before.list_ids != lists else [])


def _all_of(profile: Profile, lists: tuple[str, ...]) -> list[str]:
    return ["address", *(f"fields.{name}" for name in sorted(profile.fields)), *(["list_ids"] if lists else [])]


def _left(known: Document, lists: tuple[str, ...], now_us: int) -> list[str]:
    """The lists whose copies must go. Those of an earlier change stay on the note for a day, in case it never got so far."""
    earlier: list[str] = known.get("left", []) if now_us - known["updated_us"] < _REMEMBER_LEFT_US else []
    return sorted({*known["list_ids"], *earlier} - set(lists))
