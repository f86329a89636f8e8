"""Digests of suppression lists as documents: `_id` = tenant/key of the digest, the import that brought it last, the row there, and whether
its person has been stopped (`spent`). The digest itself is not kept.

One more document, its `_id` the tenant alone, says of which algorithms there are any: it is written before the first of them, and is all
that a customer without digests ever costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from postlaw_common.ordered_text import to_text
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Store, VersionConflict
from postlaw_common.store.bulk import bulk_insert
from postlaw_subscribers.domain.digest import Algorithm

DIGESTS = CollectionSpec("suppressed_digests")

_TOGETHER = 500  # looked up in one call of the store
_WRITES = 50  # replaced at the same time, so that the store gathers their writes


class Digests:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def algorithms(self, tenant_id: str) -> tuple[Algorithm, ...]:
        """Of which this customer has digests. None was kept before the call of another algorithm, whoever kept it."""
        marker = await self._documents().get(tenant_id, linearizable=True)
        return tuple(marker["algorithms"]) if marker else ()

    async def announce(self, tenant_id: str, algorithm: Algorithm) -> None:
        """To be called before digests of it are kept."""
        while True:
            marker = await self._documents().get(tenant_id, linearizable=True)
            with suppress(AlreadyExists, VersionConflict):
                if marker is None:
                    await self._documents().insert({"_id": tenant_id, "algorithms": [algorithm]})
                elif algorithm not in marker["algorithms"]:
                    await self._documents().replace(marker | {"algorithms": [*marker["algorithms"], algorithm]}, version=marker["v"])
                return

    async def keep(self, tenant_id: str, import_id: str, rows: Mapping[bytes, int]) -> set[bytes]:
        """Keeps digests, by their keys, of rows of an import; those that an earlier row of it has kept. Safe to repeat."""
        ids = {_id(tenant_id, key): key for key in sorted(rows)}
        there = await bulk_insert(self._documents(), (_document(id, import_id, rows[key]) for id, key in ids.items()))
        earlier: set[bytes] = set()
        for known in await self._get(sorted(there)):
            key = ids[known["_id"]]
            if known["import_id"] == import_id and known["row"] != rows[key]:
                earlier.add(key)
        others = [id for id in there if ids[id] not in earlier]
        for start in range(0, len(others), _WRITES):
            await asyncio.gather(*(self._take_over(id, import_id, rows[ids[id]]) for id in others[start : start + _WRITES]))
        return earlier

    async def find(self, tenant_id: str, keys: Sequence[bytes]) -> dict[bytes, Document]:
        """Those that are kept, by their keys."""
        ids = {_id(tenant_id, key): key for key in keys}
        return {ids[document["_id"]]: document for document in await self._get(list(ids))}

    async def spend(self, documents: Sequence[Document]) -> None:
        """Their people are stopped in consent's ledger, which knows it from now on. What a later import brought anew stays as it is."""
        for start in range(0, len(documents), _WRITES):
            await asyncio.gather(*map(self._spend, documents[start : start + _WRITES]))

    async def _spend(self, document: Document) -> None:
        with suppress(VersionConflict):
            await self._documents().replace(document | {"spent": True}, version=document["v"])

    async def _take_over(self, id: str, import_id: str, row: int) -> None:
        """From here on it is this import's, and stops its person once more."""
        while True:
            known = await self._documents().get(id, linearizable=True)
            if known is None or known["import_id"] == import_id:
                return
            with suppress(VersionConflict):
                await self._documents().replace(_document(id, import_id, row), version=known["v"])
                return

    async def _get(self, ids: Sequence[str]) -> list[Document]:
        found: list[Document] = []
        for start in range(0, len(ids), _TOGETHER):
            found += (await self._documents().get_many(ids[start : start + _TOGETHER])).values()
        return found

    def _documents(self) -> Collection:
        return self._store.collection(DIGESTS.name)


def _id(tenant_id: str, key: bytes) -> str:
    return f"{tenant_id}/{to_text(key)}"


def _document(id: str, import_id: str, row: int) -> Document:
    return {"_id": id, "import_id": import_id, "row": row}
