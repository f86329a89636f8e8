"""Every version of the law that ever decided, by its hash: what was decided under it can be replayed when another one is in force."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec
from postlaw_law.law import Law
from postlaw_law.loading import law_of

LAWS = CollectionSpec("laws")


class Laws:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection
        self._known: dict[str, Law] = {}

    def know(self, law: Law) -> None:
        """One that need not be looked up."""
        self._known[law.version] = law

    async def keep(self, law: Law, texts: Mapping[str, str]) -> None:
        """`texts`: its files by name. Keeping it again changes nothing."""
        self.know(law)
        try:
            await self._collection().insert({"_id": law.version, "files": gzip.compress(json.dumps(dict(texts)).encode(), mtime=0)})
        except AlreadyExists:
            return

    async def get(self, version: str) -> Law | None:
        """None where no such law was ever in force here."""
        law = self._known.get(version)
        if law is None and (document := await self._collection().get(version)) is not None:
            law = self._known[version] = law_of(json.loads(gzip.decompress(document["files"])))
        return law
