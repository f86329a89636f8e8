"""Notices: the wordings that people read, by hash, each kept once a customer (promise G2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postlaw_common.store import Collection, CollectionSpec

NOTICES = CollectionSpec("notices")

_REMEMBERED = 10_000


class Notices:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection
        self._known: set[str] = set()

    async def keep(self, tenant_id: str, wordings: Mapping[bytes, str]) -> None:
        """Keeps each wording under its SHA-256. Returns once they are durable: an event must not name a notice that nobody has."""
        fresh = {f"{tenant_id}/{digest.hex()}": wording for digest, wording in wordings.items()}
        fresh = {id: wording for id, wording in fresh.items() if id not in self._known}
        if not fresh:
            return
        await self._collection().insert_many([{"_id": id, "tenant": id.split("/")[0], "wording": wording} for id, wording in fresh.items()])
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known.update(fresh)
