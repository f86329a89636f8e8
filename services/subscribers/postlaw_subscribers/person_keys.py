"""The two keys of each person: a profile key that can be destroyed, and a proof key that outlives it (design §2).

Key documents lie in a database of their own, `subscriber_keys`, so that its backups lapse apart from all others. Each key is wrapped by the
customer's key; a wrap begins with the version of that key (4 bytes), and is bound to tenant, address key and purpose.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from postlaw_common.crypto import Sealer
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.ordered_text import to_text
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Store, VersionConflict
from postlaw_common.store.bulk import bulk_insert

KEY_DATABASE = "subscriber_keys"
PERSON_KEYS = CollectionSpec("person_keys", packed=True)

PROFILE = b"profile"
LANGUAGE = b"language"
PROFILE_EVIDENCE = b"evidence/profile"
PROOF_EVIDENCE = b"evidence/proof"
ATTESTATION = b"attestation"
PROFILE_KEY = b"key/profile"
PROOF_KEY = b"key/proof"

_WRAPPING = "persons"  # the purpose of the customer's key that wraps them
_VERSION_BYTES = 4

KEYS_BYTES = 64  # of a person's two keys


class Keys(NamedTuple):
    """A person's keys, open. `generation` counts the people who were made under this address key before."""

    profile: bytes
    proof: bytes
    generation: int


def place(tenant_id: str, address_key: bytes, purpose: bytes) -> bytes:
    """The associated data that ties a sealed value to its person and its purpose."""
    return b"postlaw/person/1\0" + tenant_id.encode() + b"\0" + address_key + purpose


def document_id(tenant_id: str, address_key: bytes) -> str:
    return f"{tenant_id}/{to_text(address_key)}"


class Wrapping:
    """The customer's keys at hand: wraps under the newest, opens under any. Synchronous, for bulk work."""

    def __init__(self, tenant_id: str, newest: int, sealers: dict[int, Sealer]) -> None:
        self.tenant_id = tenant_id
        self._place = place(tenant_id, b"", b"")
        self._newest = newest.to_bytes(_VERSION_BYTES, "big")
        self._sealer = sealers[newest]
        self._sealers = sealers

    def fresh(self, name: str, address_key: bytes, random: bytes) -> tuple[Keys, Document]:
        """New keys for a person, and the document, called `name`, that keeps them. `random`: KEYS_BYTES, never used before or again."""
        profile, proof = random[:32], random[32:]
        document: Document = {
            "_id": name,
            "profile": self.wrap(profile, address_key, PROFILE_KEY),
            "proof": self.wrap(proof, address_key, PROOF_KEY),
            "generation": 0,
        }
        return Keys(profile, proof, 0), document

    def place(self, address_key: bytes, purpose: bytes) -> bytes:
        """As the function of this name, for bulk work."""
        return self._place + address_key + purpose

    def seal_attestation(self, attestation: bytes) -> bytes:
        """What the customer says of many people at once: the customer's own words, so nobody's key but theirs."""
        return self.wrap(attestation, b"", ATTESTATION)

    def open_attestation(self, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        return self.unwrap(sealed, b"", ATTESTATION)

    def wrap(self, value: bytes, address_key: bytes, purpose: bytes) -> bytes:
        return self._newest + self._sealer.seal(value, self._place + address_key + purpose)

    def unwrap(self, wrapped: bytes, address_key: bytes, purpose: bytes) -> bytes:
        """Raises SealBroken."""
        sealer = self._sealers[int.from_bytes(wrapped[:_VERSION_BYTES], "big")]
        return sealer.open(wrapped[_VERSION_BYTES:], self._place + address_key + purpose)

    def open(self, address_key: bytes, document: Document) -> Keys | None:
        """The keys that a document keeps; None where the profile key was destroyed."""
        if document.get("profile") is None:
            return None
        return Keys(
            self.unwrap(document["profile"], address_key, PROFILE_KEY),
            self.unwrap(document["proof"], address_key, PROOF_KEY),
            document["generation"],
        )


class PersonKeys:
    def __init__(self, store: Store, customer_keys: CustomerKeys) -> None:
        self._store = store
        self._customer_keys = customer_keys

    async def wrapping(self, tenant_id: str) -> Wrapping:
        newest, key = await self._customer_keys.get(tenant_id, _WRAPPING)
        sealers = {newest: Sealer(key)}
        for version in range(1, newest):
            sealers[version] = Sealer((await self._customer_keys.get(tenant_id, _WRAPPING, version))[1])
        return Wrapping(tenant_id, newest, sealers)

    async def insert(self, documents: Iterable[Document]) -> set[str]:
        """Keeps what `Wrapping.fresh` made; returns the ids of those who have keys already."""
        return await bulk_insert(self._documents(), documents)

    async def open_many(self, wrapping: Wrapping, address_keys: Sequence[bytes]) -> dict[bytes, Keys]:
        """The keys of those who have them, profile key and all."""
        ids = {document_id(wrapping.tenant_id, address_key): address_key for address_key in address_keys}
        found: Mapping[str, Document] = await self._documents().get_many(list(ids))
        opened = {ids[id]: wrapping.open(ids[id], document) for id, document in found.items()}
        return {address_key: keys for address_key, keys in opened.items() if keys is not None}

    async def ensure(self, wrapping: Wrapping, address_key: bytes) -> Keys:
        """The person's keys. Whoever has none gets both; whoever's profile key was destroyed gets a new one, as the next generation."""
        while True:
            name = document_id(wrapping.tenant_id, address_key)
            document = await self._documents().get(name, linearizable=True)
            if document is None:
                keys, fresh = wrapping.fresh(name, address_key, os.urandom(KEYS_BYTES))
                with contextlib.suppress(AlreadyExists):
                    await self._documents().insert(fresh)
                    return keys
            elif (known := wrapping.open(address_key, document)) is not None:
                return known
            else:
                renewed = wrapping.wrap(os.urandom(32), address_key, PROFILE_KEY)
                document |= {"profile": renewed, "generation": document["generation"] + 1}
                with contextlib.suppress(VersionConflict):
                    await self._documents().replace(document, version=document["v"])

    async def destroy_profile_key(self, tenant_id: str, address_key: bytes) -> None:
        """From here on nothing sealed under it can be read again. The proof key stays."""
        while True:
            document = await self._documents().get(document_id(tenant_id, address_key), linearizable=True)
            if document is None or document.get("profile") is None:
                return
            with contextlib.suppress(VersionConflict):
                await self._documents().replace(document | {"profile": None}, version=document["v"])
                return

    def _documents(self) -> Collection:
        return self._store.collection(PERSON_KEYS.name)
