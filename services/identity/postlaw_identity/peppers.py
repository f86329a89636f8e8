"""The pepper under which API keys are hashed: 32 bytes, wrapped by the root key, in identity's own database."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from postlaw_common.keys import RootKey
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec

PEPPERS = CollectionSpec("peppers")
CURRENT = 1  # a leaked pepper is followed by the next number; keys hashed under the old one stay good until they are replaced


class Peppers:
    def __init__(self, collection: Callable[[], Collection], root: RootKey) -> None:
        self._open = collection
        self._root = root
        self._known: dict[int, bytes] = {}

    async def get(self, version: int = CURRENT) -> bytes:
        """The pepper; the current one is made on first use, by whoever comes first. KeyError where an older one is gone."""
        if version in self._known:
            return self._known[version]
        id = f"pepper/{version}"
        document = await self._open().get(id)
        if document is None and version == CURRENT:
            fresh = await self._root.wrap(os.urandom(32), purpose=f"identity/{id}")
            with suppress(AlreadyExists):
                await self._open().insert({"_id": id, "wrapped": fresh})
            document = await self._open().get(id, linearizable=True)
        if document is None:
            raise KeyError(id)
        self._known[version] = await self._root.unwrap(document["wrapped"], purpose=f"identity/{id}")
        return self._known[version]
