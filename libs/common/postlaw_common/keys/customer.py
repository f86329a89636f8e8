"""Keys of each customer: by purpose and version, wrapped by the root, kept in the database of the service that uses them.

A service asks for `CUSTOMER_KEYS` in the database that it hands over here. Rotation adds a version: what is new is sealed under the
newest, what is old names its version and stays readable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from postlaw_common.keys import RootKey
from postlaw_common.store import AlreadyExists, CollectionSpec, Document, Index, Store

CUSTOMER_KEYS = CollectionSpec("customer_keys", (Index("series"),))

_KEY_BYTES = 32


class CustomerKeys:
    """32-byte keys by (tenant, purpose, version); made on first use, unwrapped once per process.

    `newest` is remembered too, so another process's rotation is taken up at its next start or `forget`: until then both
    versions are right, since whatever is sealed names its own."""

    def __init__(self, store: Store, root: RootKey) -> None:
        self._store = store
        self._root = root
        self._known: dict[tuple[str, str, int], bytes] = {}
        self._newest: dict[tuple[str, str], int] = {}

    async def get(self, tenant_id: str, purpose: str, version: int | None = None) -> tuple[int, bytes]:
        """(version, key). `version` None: the newest, made if the customer has none yet. KeyError for a version that is not there."""
        wanted = self._newest.get((tenant_id, purpose)) if version is None else version
        if wanted is not None and (key := self._known.get((tenant_id, purpose, wanted))) is not None:
            return wanted, key
        if wanted is None:
            wanted = await self._newest_version(tenant_id, purpose) or await self._make(tenant_id, purpose, 1)
            self._newest[tenant_id, purpose] = wanted
        document = await self._store.collection(CUSTOMER_KEYS.name).get(_id(tenant_id, purpose, wanted), linearizable=True)
        if document is None:
            raise KeyError(_id(tenant_id, purpose, wanted))
        key = await self._root.unwrap(document["wrapped"], purpose=_id(tenant_id, purpose, wanted))
        self._known[tenant_id, purpose, wanted] = key
        return wanted, key

    async def rotate(self, tenant_id: str, purpose: str) -> int:
        """Makes the next version, which is newest from now on, and returns it."""
        version = await self._make(tenant_id, purpose, await self._newest_version(tenant_id, purpose) + 1)
        self._newest[tenant_id, purpose] = version
        return version

    async def customers(self, purpose: str) -> AsyncIterator[list[str]]:
        """Those who have keys of this purpose, in pages; whoever gets the first one meanwhile may be left out."""
        async for page in self._store.collection(CUSTOMER_KEYS.name).scan():
            first = [document["series"].rpartition("/") for document in page if document["version"] == 1]
            yield [tenant_id for tenant_id, _, of in first if of == purpose]

    def forget(self, tenant_id: str) -> None:
        """Drops what is cached of this customer, here; the keys themselves stay."""
        self._known = {place: key for place, key in self._known.items() if place[0] != tenant_id}
        self._newest = {place: version for place, version in self._newest.items() if place[0] != tenant_id}

    async def _newest_version(self, tenant_id: str, purpose: str) -> int:
        collection = self._store.collection(CUSTOMER_KEYS.name)
        newest = 0
        async for page in collection.scan("series", f"{tenant_id}/{purpose}"):
            newest = max(newest, *(int(document["version"]) for document in page))
        return newest

    async def _make(self, tenant_id: str, purpose: str, version: int) -> int:
        """Inserts a fresh key; whoever comes second takes the first one's."""
        id = _id(tenant_id, purpose, version)
        wrapped = await self._root.wrap(os.urandom(_KEY_BYTES), purpose=id)
        document: Document = {"_id": id, "series": f"{tenant_id}/{purpose}", "version": version, "wrapped": wrapped}
        with contextlib.suppress(AlreadyExists):
            await self._store.collection(CUSTOMER_KEYS.name).insert(document)
        return version


def _id(tenant_id: str, purpose: str, version: int) -> str:
    return f"{tenant_id}/{purpose}/{version:06d}"
