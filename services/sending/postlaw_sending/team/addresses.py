"""Team addresses in the store, a document each: sealed under the customer's key, found by customer, by address key, and by its link."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import NotFound
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import Collection, CollectionSpec, Document, Index

TEAM_ADDRESSES: Final = CollectionSpec("team_addresses", (Index("tenant_id"), Index("place", unique=True), Index("link")))
MOST: Final = 50  # of a customer: they are for looking at mail, and no way around consent
_PURPOSE: Final = "team"


@dataclass(frozen=True, slots=True)
class TeamAddress:
    """`link`: the hash of the token that was mailed last. Times in microseconds since the epoch, 0: not yet. `version` 0: not stored."""

    team_address_id: str
    tenant_id: str
    address_key: bytes
    address: str
    seed: bool
    created_at_us: int
    link: str = ""
    asked_at_us: int = 0
    confirmed_at_us: int = 0
    version: int = 0


class TeamAddresses:
    """`collection`: `team_addresses` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], keys: CustomerKeys) -> None:
        self._open = collection
        self._keys = keys

    async def of(self, tenant_id: str) -> list[TeamAddress]:
        return [await self._opened(document) for document in await self._open().find("tenant_id", tenant_id, limit=MOST)]

    async def of_key(self, tenant_id: str, address_key: bytes) -> TeamAddress | None:
        found = await self._open().find("place", _place(tenant_id, address_key), limit=1)
        return await self._opened(found[0]) if found else None

    async def of_link(self, token: str) -> TeamAddress:
        """Raises NotFound."""
        found = await self._open().find("link", link_of(token), limit=1)
        if not found:
            raise NotFound("This link is none of ours.")
        return await self._opened(found[0])

    async def put(self, team: TeamAddress) -> TeamAddress:
        """Raises AlreadyExists, VersionConflict."""
        key_version, key = await self._keys.get(team.tenant_id, _PURPOSE)
        document: Document = {
            "_id": team.team_address_id,
            "tenant_id": team.tenant_id,
            "place": _place(team.tenant_id, team.address_key),
            "address_key": team.address_key,
            "key_version": key_version,
            "sealed": seal(key, team.address.encode(), _aad(team.team_address_id)),
            "seed": team.seed,
            "created_at_us": team.created_at_us,
            "link": team.link,
            "asked_at_us": team.asked_at_us,
            "confirmed_at_us": team.confirmed_at_us,
        }
        if not team.version:
            await self._open().insert(document)
            return replace(team, version=1)
        return replace(team, version=(await self._open().replace(document, version=team.version))["v"])

    async def remove(self, tenant_id: str, team_address_id: str) -> None:
        """One that is gone, or another customer's, is none: nothing happens."""
        document = await self._open().get(team_address_id)
        if document is not None and document["tenant_id"] == tenant_id:
            await self._open().delete(team_address_id)

    async def _opened(self, document: Document) -> TeamAddress:
        _, key = await self._keys.get(document["tenant_id"], _PURPOSE, document["key_version"])
        return TeamAddress(
            team_address_id=document["_id"],
            tenant_id=document["tenant_id"],
            address_key=bytes(document["address_key"]),
            address=open_sealed(key, document["sealed"], _aad(document["_id"])).decode(),
            seed=document["seed"],
            created_at_us=document["created_at_us"],
            link=document["link"],
            asked_at_us=document["asked_at_us"],
            confirmed_at_us=document["confirmed_at_us"],
            version=document["v"],
        )


def link_of(token: str) -> str:
    """What is kept of a link: who reads the store can follow none."""
    return hashlib.sha256(token.encode()).hexdigest()


def _place(tenant_id: str, address_key: bytes) -> str:
    return f"{tenant_id}/{address_key.hex()}"


def _aad(team_address_id: str) -> bytes:
    return f"team-address/{team_address_id}".encode()
