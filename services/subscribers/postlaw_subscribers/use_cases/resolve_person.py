"""Who is meant by an address or an id; and evidence about them, sealed under their keys."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.crypto import seal
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.store import Document
from postlaw_subscribers.domain.masking import mask
from postlaw_subscribers.domain.person import KEY_BYTES, Person
from postlaw_subscribers.people import address_key_of, from_document, is_gone
from postlaw_subscribers.person_keys import PROFILE_EVIDENCE, PROOF_EVIDENCE, place
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.meet_suppressions import meet_suppressions

SHORTEST_BEGINNING = 13  # bytes: a key's version and 96 bits of its digest, so that two people never share one


@dataclass(frozen=True, slots=True)
class Resolved:
    """`subscriber_id` is empty where nobody is known by that address; consent may be given or withdrawn all the same. `address`: as mail is
    sent to it, where it was asked by address."""

    address_key: bytes
    subscriber_id: str
    sealed_profile_evidence: bytes
    sealed_proof_evidence: bytes
    address: str = ""


async def get_subscriber(rooms: Rooms, tenant_id: str, id: str) -> Person:
    """Raises NotFound, also for another customer's subscriber."""
    person = await opened(rooms, tenant_id, await rooms.people.by_id(tenant_id, id))
    if person is None:
        raise NotFound("There is no such subscriber.")
    return person


async def masked_address(rooms: Rooms, tenant_id: str, address_key: bytes) -> tuple[str, str]:
    """(masked, the language that the person chose). Empty where nobody is known under this key, or their profile key is destroyed."""
    person = await opened(rooms, tenant_id, await rooms.people.by_key(tenant_id, address_key))
    return (mask(person.profile.address), person.language) if person else ("", "")


async def opened(rooms: Rooms, tenant_id: str, document: Document | None) -> Person | None:
    """None where there is nobody, or no key to open them with."""
    if document is None or is_gone(document):
        return None
    wrapping = await rooms.person_keys.wrapping(tenant_id)
    address_key = address_key_of(document)
    keys = (await rooms.person_keys.open_many(wrapping, [address_key])).get(address_key)
    return from_document(document, keys) if keys else None


async def resolve_person(
    rooms: Rooms,
    tenant_id: str,
    *,
    address: str = "",
    subscriber_id: str = "",
    address_key_beginning: bytes = b"",
    profile_evidence: bytes = b"",
    proof_evidence: bytes = b"",
    opening: bool = False,
) -> Resolved:
    """`opening`: something is to be recorded that opens, so whoever a suppression list names is stopped before that. Who has an id has met
    the lists when they came. Raises Invalid (the address, the beginning),
    NotFound (the id, the beginning)."""
    normalised = ""
    if subscriber_id:
        document = await rooms.people.by_id(tenant_id, subscriber_id)
        if document is None:
            raise NotFound("There is no such subscriber.")
        address_key = address_key_of(document)
    elif address_key_beginning:
        if not SHORTEST_BEGINNING <= len(address_key_beginning) <= KEY_BYTES:
            raise Invalid(f"The beginning of an address key has {SHORTEST_BEGINNING} to {KEY_BYTES} bytes.")
        document = await rooms.people.by_beginning(tenant_id, address_key_beginning)
        if document is None:
            raise NotFound("There is no such subscriber.")
        address_key = address_key_of(document)
    else:
        normalised, address_key = await rooms.address_key(tenant_id, address)
        if opening:
            await meet_suppressions(rooms, tenant_id, address_key, normalised)
        document = await rooms.people.by_key(tenant_id, address_key)
    known = "" if document is None or is_gone(document) else document["subscriber_id"]
    if not profile_evidence and not proof_evidence:
        return Resolved(address_key, known, b"", b"", normalised)
    keys = await rooms.person_keys.ensure(await rooms.person_keys.wrapping(tenant_id), address_key)
    return Resolved(
        address_key,
        known,
        seal(keys.profile, profile_evidence, place(tenant_id, address_key, PROFILE_EVIDENCE)) if profile_evidence else b"",
        seal(keys.proof, proof_evidence, place(tenant_id, address_key, PROOF_EVIDENCE)) if proof_evidence else b"",
        normalised,
    )
