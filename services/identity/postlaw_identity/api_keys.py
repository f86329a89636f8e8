"""API keys in the store: never the secret, only its keyed hash. `revision` is the version that others see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postlaw_common.bus import Record
from postlaw_common.made_once import MADE_UNDER, RequestKey
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_identity.domain.api_key import ApiKey

API_KEYS = CollectionSpec("api_keys", (Index("tenant_id"), Index("prefix", unique=True), MADE_UNDER, OUTBOX_INDEX))


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what proves it: the hash under that version of the pepper."""

    api_key: ApiKey
    hash: bytes
    pepper_version: int


class ApiKeys:
    def __init__(self, collection: Callable[[], Collection], outbox: Outbox) -> None:
        self._open = collection
        self._outbox = outbox

    async def insert(self, key: StoredKey, announcement: Record, request: RequestKey, asked: bytes) -> ApiKey | None:
        """None once it is stored; else the key that the request made before. Raises KeyReused, or AlreadyExists where the prefix is
        taken."""
        document = add_to_outbox(_to_document(key) | request.note(asked), [announcement])
        if (made := await request.insert(self._open(), document, asked)) is not None:
            return _from_document(made).api_key
        await self._outbox.publish_after_write(self._open(), document)
        return None

    async def get(self, api_key_id: str) -> tuple[StoredKey, Document] | None:
        """The key, and its document as it was read, for `replace`."""
        document = await self._open().get(api_key_id)
        return (_from_document(document), document) if document else None

    async def replace(self, key: StoredKey, read: Document, announcement: Record) -> None:
        """Raises VersionConflict where somebody wrote in between."""
        changed = {**read, **_to_document(key)}
        document = await self._open().replace(add_to_outbox(changed, [announcement]), version=read["v"])
        await self._outbox.publish_after_write(self._open(), document)

    async def with_prefix(self, prefix: str) -> StoredKey | None:
        found = await self._open().find("prefix", prefix, limit=1)
        return _from_document(found[0]) if found else None

    async def page(self, tenant_id: str, *, after: str, limit: int) -> list[ApiKey]:
        """Oldest first; ids sort by time of making."""
        found = await self._open().find("tenant_id", tenant_id, after=after, limit=limit)
        return [_from_document(document).api_key for document in found]


def _to_document(key: StoredKey) -> Document:
    document: Document = {
        "_id": key.api_key.api_key_id,
        "tenant_id": key.api_key.tenant_id,
        "name": key.api_key.name,
        "scopes": list(key.api_key.scopes),
        "prefix": key.api_key.prefix,
        "created_us": key.api_key.created_us,
        "expires_us": key.api_key.expires_us,
        "revoked_us": key.api_key.revoked_us,
        "revision": key.api_key.version,
        "hash": key.hash,
        "pepper_version": key.pepper_version,
    }
    return document


def _from_document(document: Document) -> StoredKey:
    key = ApiKey(
        api_key_id=document["_id"],
        tenant_id=document["tenant_id"],
        name=document["name"],
        scopes=tuple(document["scopes"]),
        prefix=document["prefix"],
        created_us=document["created_us"],
        expires_us=document["expires_us"],
        revoked_us=document["revoked_us"],
        version=document["revision"],
    )
    return StoredKey(key, document["hash"], document["pepper_version"])
