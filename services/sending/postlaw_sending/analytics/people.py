"""Who did what with a campaign, each once: of those alone who allowed it, until they are erased or allow it no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from postlaw_common.store import Collection, CollectionSpec, Index
from postlaw_common.store.bulk import bulk_delete

TRACKED_PEOPLE = CollectionSpec("tracked_people", (Index("place"), Index("person")))


class TrackedPeople:
    """`collection`: `tracked_people` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, some: Iterable[tuple[str, str, bytes]]) -> None:
        """By campaign, deed and address key. However often they did it, they count once."""
        documents = {
            f"{campaign_id}/{deed}/{key.hex()}": {"place": f"{campaign_id}/{deed}", "person": key} for campaign_id, deed, key in some
        }
        await self._open().insert_many([{"_id": id} | document for id, document in documents.items()])

    async def number(self, campaign_id: str, deed: str) -> int:
        return await self._open().count("place", f"{campaign_id}/{deed}")

    async def forget(self, address_key: bytes) -> None:
        await bulk_delete(self._open(), "person", address_key)
