"""Notices as documents: `_id` = tenant/hash, each wording kept once a customer, and for good (promise G2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_consent.domain.notice import Notice, Use

NOTICES = CollectionSpec("notices", (Index("tenant"),))

_REMEMBERED = 10_000
_FRESH_S = 60.0  # dates may be corrected elsewhere; that a notice is there never changes
_AT_ONCE = 300


class Notices:
    def __init__(self, collection: Callable[[], Collection], now_us: Callable[[], int], monotonic: Callable[[], float] = time.monotonic):
        self._collection = collection
        self._now_us = now_us
        self._monotonic = monotonic
        self._known: dict[str, tuple[Notice, float]] = {}  # those that have been used

    async def get(self, tenant_id: str, digest: bytes) -> Notice | None:
        document = await self._collection().get(_id_of(tenant_id, digest))
        return _notice_of(document) if document else None

    async def page(self, tenant_id: str, after: str, limit: int) -> list[Notice]:
        """In the order of their hashes; `after`: the hash, in hexadecimal, of the last one seen."""
        found = await self._collection().find("tenant", tenant_id, after=f"{tenant_id}/{after}" if after else "", limit=limit)
        return list(map(_notice_of, found))

    async def insert(self, tenant_id: str, notice: Notice) -> None:
        """Raises AlreadyExists."""
        await self._collection().insert(_document_of(tenant_id, notice))

    async def replace(self, tenant_id: str, notice: Notice) -> Notice:
        """At the version that it was read at. Raises VersionConflict."""
        document = await self._collection().replace(_document_of(tenant_id, notice), version=notice.version)
        self._known.pop(document["_id"], None)
        return _notice_of(document)

    async def used(self, tenant_id: str, uses: Mapping[bytes, Use]) -> dict[bytes, Notice]:
        """The notices that consents are about to name; those that came with their wording are registered, and the first use of each
        is noted. Durable when it returns: an event must not name a notice that nobody has. Who is not in the answer is not known."""
        oldest = self._monotonic() - _FRESH_S
        known = {digest: self._known.get(_id_of(tenant_id, digest)) for digest in uses}
        found = {digest: one[0] for digest, one in known.items() if one is not None and one[1] > oldest}
        asked = iter([digest for digest in uses if digest not in found])
        while some := list(islice(asked, _AT_ONCE)):
            documents = await self._collection().get_many([_id_of(tenant_id, digest) for digest in some])
            for digest in some:
                document = documents.get(_id_of(tenant_id, digest))
                notice = await self._first_use(tenant_id, digest, _notice_of(document) if document else None, uses[digest])
                if notice is not None:
                    found[digest] = notice
                    self._remember(_id_of(tenant_id, digest), notice)
        return found

    async def _first_use(self, tenant_id: str, digest: bytes, notice: Notice | None, use: Use) -> Notice | None:
        while True:
            try:
                if notice is None:
                    if not use.wording:
                        return None
                    notice = Notice(digest, use.wording, use.language, first_used_us=use.at_us, registered_us=self._now_us())
                    await self.insert(tenant_id, notice)
                elif notice.first_used_us is None:
                    notice = await self.replace(tenant_id, replace(notice, first_used_us=use.at_us))
            except (AlreadyExists, VersionConflict):
                notice = await self.get(tenant_id, digest)
                continue
            return notice

    def _remember(self, id: str, notice: Notice) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[id] = (notice, self._monotonic())


def _id_of(tenant_id: str, digest: bytes) -> str:
    return f"{tenant_id}/{digest.hex()}"


def _document_of(tenant_id: str, notice: Notice) -> Document:
    return {
        "_id": _id_of(tenant_id, notice.digest),
        "tenant": tenant_id,
        "wording": notice.wording,
        "language": notice.language,
        "from": notice.from_us,
        "until": notice.until_us,
        "first_used": notice.first_used_us,
        "registered": notice.registered_us,
    }


def _notice_of(document: Document) -> Notice:
    return Notice(
        digest=bytes.fromhex(document["_id"].rpartition("/")[2]),
        wording=document["wording"],
        language=document.get("language", ""),  # kept before there was more to a notice than its wording
        from_us=document.get("from"),
        until_us=document.get("until"),
        first_used_us=document.get("first_used"),
        registered_us=document.get("registered", 0),
        version=document.get("v", 1),
    )
