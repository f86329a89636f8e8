"""Addresses that whoever runs the installation has stopped for every customer: `_id` = address key under the platform's own index key.

One more document counts the changes. By it a process knows in one read whether what it remembers of the others is still all there is:
they are few, and everybody who comes to any customer is looked for among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from postlaw_common.caller import Actor
from postlaw_common.keys.platform import ADDRESS_INDEX, PlatformKeys
from postlaw_common.ordered_text import to_text
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Store, VersionConflict
from postlaw_subscribers.domain.person import AddressIndex

EVERYWHERE = CollectionSpec("suppressed_everywhere")

_CHANGES = "changes"  # no address key's name: these are of 53 characters


@dataclass(frozen=True, slots=True)
class Suppressed:
    """`by`: who said so; `since_us`: when, microseconds since the epoch."""

    reason: str
    by: Actor
    since_us: int


class Everywhere:
    def __init__(self, store: Store, keys: PlatformKeys) -> None:
        self._store = store
        self._keys = keys
        self._changes = 0
        self._known: Mapping[str, Suppressed] = {}

    async def index(self) -> AddressIndex:
        return AddressIndex(1, await self._keys.get(ADDRESS_INDEX))

    async def all(self) -> Mapping[str, Suppressed]:
        """Every one, by its name. Each that was put before the call is in it."""
        counted = await self._documents().get(_CHANGES, linearizable=True)
        changes = counted["changes"] if counted else 0
        if changes != self._changes:
            known: dict[str, Suppressed] = {}
            async for page in self._documents().scan():
                known |= {document["_id"]: _from_document(document) for document in page if document["_id"] != _CHANGES}
            self._known, self._changes = known, changes
        return self._known

    async def put(self, name: str, suppressed: Suppressed) -> Suppressed:
        """This one, or the earlier one that stands."""
        with suppress(AlreadyExists):
            await self._documents().insert(_to_document(name, suppressed))
        await self._count()
        there = await self._documents().get(name, linearizable=True)
        return _from_document(there) if there else suppressed

    async def remove(self, name: str) -> None:
        await self._documents().delete(name)
        await self._count()

    async def _count(self) -> None:
        while True:
            counted = await self._documents().get(_CHANGES, linearizable=True)
            with suppress(AlreadyExists, VersionConflict):
                if counted is None:
                    await self._documents().insert({"_id": _CHANGES, "changes": 1})
                else:
                    await self._documents().replace(counted | {"changes": counted["changes"] + 1}, version=counted["v"])
                return

    def _documents(self) -> Collection:
        return self._store.collection(EVERYWHERE.name)


def name_of(index: AddressIndex, address: str) -> str:
    """`address`: normalised; `index`: the platform's."""
    return to_text(index.key_of(address))


def _to_document(name: str, suppressed: Suppressed) -> Document:
    return {"_id": name, "reason": suppressed.reason, "by": [suppressed.by.kind, suppressed.by.id], "since_us": suppressed.since_us}


def _from_document(document: Document) -> Suppressed:
    return Suppressed(document["reason"], Actor(*document["by"]), document["since_us"])
