"""What a request makes is made once under the request's idempotency key, however often the request comes.

The key stands in the made thing's own document under a unique index, so that making and noting are one write (ADR 3): whoever dies
after it has left both, whoever dies before it neither. A fingerprint of what was asked for stands beside it, to tell the same
request from another one under the same key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from postlaw_common.errors import KeyReused
from postlaw_common.store import AlreadyExists, Collection, Document, Index

MADE_UNDER = Index("made_under", unique=True)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A customer's key; empty where the request has none: then nothing is noted, and nothing found."""

    tenant_id: str
    key: str

    @property
    def _value(self) -> str:
        return f"{self.tenant_id}/{self.key}"

    def note(self, asked: bytes) -> Document:
        """Fields for the new document, whose insert raises AlreadyExists where the key has made one already."""
        return {MADE_UNDER.field: self._value, "asked": asked} if self.key else {}

    async def insert(self, collection: Collection, document: Document, asked: bytes) -> Document | None:
        """Inserts the new document, which has the fields of `note`; None once it is in, else what this request made before. Raises
        KeyReused, and AlreadyExists where the key made nothing."""
        try:
            await collection.insert(document)
        except AlreadyExists:
            if (made := await self.made(collection, asked)) is None:
                raise
            return made
        return None

    async def found(self, collection: Collection) -> Document | None:
        """What an earlier request with this key made."""
        made = await collection.find(MADE_UNDER.field, self._value, limit=1) if self.key else []
        return made[0] if made else None

    async def made(self, collection: Collection, asked: bytes) -> Document | None:
        """The same, once it is known to be what this request asks for. Raises KeyReused."""
        found = await self.found(collection)
        if found is not None:
            refuse_another(found["asked"], asked)
        return found


def fingerprint(*asked: str) -> bytes:
    """16 bytes for what a request asks for, field by field."""
    digest = hashlib.blake2b(digest_size=16)
    for part in asked:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def refuse_another(before: bytes, now: bytes) -> None:
    """Raises KeyReused where two fingerprints differ."""
    if before != now:
        raise KeyReused("This Idempotency-Key came with another body, path or query before. Use a new key for a new request.")
