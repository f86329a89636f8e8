"""Team addresses in the store, a document each: sealed under the customer's key, found by customer, by address key, and by its link.
Every change is announced in the same write (postlaw_common.outbox)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from postlaw_common.caller import Actor
from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.team.domain import TeamAddress
from postlaw_sending.team.wire import TEAM, TEAM_ADDRESS_CHANGED, changed

TEAM_ADDRESSES: Final = CollectionSpec("team_addresses", (Index("tenant_id"), Index("place", unique=True), Index("link"), OUTBOX_INDEX))
MOST: Final = 50  # of a customer: they are for looking at mail, and no way around consent
_PURPOSE: Final = "team"


class TeamAddresses:
    """`collection`: `team_addresses` of the database `sending`. `partitions`: the installation's count."""

    def __init__(self, collection: Callable[[], Collection], outbox: Outbox, partitions: Callable[[], int], keys: CustomerKeys) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions
        self._keys = keys

    async def of(self, tenant_id: str) -> list[TeamAddress]:
        return [await self._opened(document) for document in await self._open().find("tenant_id", tenant_id, limit=MOST)]

    async def of_key(self, tenant_id: str, address_key: bytes) -> TeamAddress | None:
        found = await self._open().find("place", _place(tenant_id, address_key), limit=1)
        return await self._opened(found[0]) if found else None

    async def confirmed(self, tenant_id: str, team_address_id: str) -> TeamAddress | None:
        """None where nobody has confirmed it, or it is not there, or another customer's."""
        document = await self._open().get(team_address_id)
        if document is None or document["tenant_id"] != tenant_id or not document["confirmed_at_us"]:
            return None
        return await self._opened(document)

    async def reach(self, tenant_id: str, team_address_id: str) -> bool:
        """Whether somebody reads what is mailed there."""
        return await self.confirmed(tenant_id, team_address_id) is not None

    async def of_link(self, token: str) -> TeamAddress:
        """Raises NotFound."""
        found = await self._open().find("link", link_of(token), limit=1)
        if not found:
            raise NotFound("This link is none of ours.")
        return await self._opened(found[0])

    async def put(self, team: TeamAddress, actor: Actor | None) -> TeamAddress:
        """`actor` None: whoever has its link. Raises AlreadyExists, VersionConflict."""
        key_version, key = await self._keys.get(team.tenant_id, _PURPOSE)
        said: Document = {
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
        while True:
            before: Document = (await self._open().get(team.team_address_id, linearizable=True) if team.version else None) or {}
            if before.get("revision", 0) != team.version:
                raise VersionConflict(f"{team.team_address_id} was changed meanwhile")
            try:
                await self._write(before | said, team, actor)
            except VersionConflict:
                continue  # the outbox was cleared meanwhile, or somebody changed it: it is looked at again
            return replace(team, version=team.version + 1)

    async def remove(self, tenant_id: str, team_address_id: str, actor: Actor) -> None:
        """One that is gone, or another customer's, is none: nothing happens. What is left of it says only that it is gone."""
        while True:
            document = await self._open().get(team_address_id, linearizable=True)
            if document is None or document["tenant_id"] != tenant_id:
                return
            team = await self._opened(document)
            left = {name: document[name] for name in ("_id", "v", "revision", "outbox") if name in document}
            try:
                await self._write(left | {"tenant_id": "", "place": None, "link": None}, team, actor, removed=True)
            except VersionConflict:
                continue
            return

    async def _write(self, document: Document, team: TeamAddress, actor: Actor | None, *, removed: bool = False) -> None:
        """Announced, with the next revision."""
        revision = document.get("revision", 0) + 1
        event = new_event(
            TEAM_ADDRESS_CHANGED,
            changed(team, revision, actor, removed=removed),
            source="sending",
            subject=team.team_address_id,
            sequence=revision,
            tenant_id=team.tenant_id,
        )
        record = to_record(event, TEAM, partition_of(team.team_address_id, self._partitions()))
        written = add_to_outbox(document | {"revision": revision}, [record])
        if revision == 1:
            await self._open().insert(written)
        else:
            written = await self._open().replace(written, version=document["v"])
        await self._outbox.publish_after_write(self._open(), written)

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
            version=document["revision"],
        )


def link_of(token: str) -> str:
    """What is kept of a link: who reads the store can follow none."""
    return hashlib.sha256(token.encode()).hexdigest()


def _place(tenant_id: str, address_key: bytes) -> str:
    return f"{tenant_id}/{address_key.hex()}"


def _aad(team_address_id: str) -> bytes:
    return f"team-address/{team_address_id}".encode()
