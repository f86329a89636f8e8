"""Notices as documents: `_id` = tenant/hash, each wording kept once a customer, and for good (promise G2).

Each change leaves with the event that tells the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.notice import Notice, Use

NOTICES = CollectionSpec("notices", (Index("tenant"), OUTBOX_INDEX))
CHANGED = Topic("postlaw.consent.notices.v1")

_TYPE = "postlaw.consent.NoticeChanged"
_REMEMBERED = 10_000
_FRESH_S = 60.0  # dates may be corrected elsewhere; that a notice is there never changes
_AT_ONCE = 300


class Notices:
    """`encode`: (tenant, notice) → the event's bytes. `partition_of`: (tenant, what it is placed by) → where its events go."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        bus: Bus,
        encode: Callable[[str, Notice], bytes],
        partition_of: Callable[[str, bytes], int],
        afterwards: Afterwards,
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outbox = Outbox(bus, lambda: [collection()])
        self._collection = collection
        self._encode = encode
        self._partition_of = partition_of
        self._afterwards = afterwards
        self._telling = asyncio.Lock()
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
        document = add_to_outbox(_document_of(tenant_id, notice), [self._record(tenant_id, notice)])
        await self._collection().insert(document)
        self._tell(document)

    async def change(self, tenant_id: str, digest: bytes, to: Callable[[Notice], Notice]) -> Notice:
        """What `to` makes of it, written and told; nothing where that is the same. Raises NotFound, and whatever `to` raises."""
        id = _id_of(tenant_id, digest)
        while True:
            document = await self._collection().get(id)
            if document is None:
                raise NotFound("There is no notice with this hash.")
            before = _notice_of(document)
            after = to(before)
            if after == before:
                return before
            after = replace(after, version=before.version + 1)
            changed = add_to_outbox(document | _document_of(tenant_id, after), [self._record(tenant_id, after)])
            try:
                written = await self._collection().replace(changed, version=document["v"])
            except VersionConflict:
                continue
            self._known.pop(id, None)
            self._tell(written)
            return after

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
        if notice is None:
            if not use.wording:
                return None
            fresh = Notice(digest, use.wording, use.language, first_used_us=use.at_us, registered_us=self._now_us())
            try:
                await self.insert(tenant_id, fresh)
            except AlreadyExists:
                pass
            else:
                return fresh
        elif notice.first_used_us is not None:
            return notice
        return await self.change(tenant_id, digest, lambda there: _used_at(there, use.at_us))

    def _tell(self, written: Document) -> None:
        """Nobody waits for it: a consent that names a new wording is recorded though the bus does not answer."""
        self._afterwards.begin(self._publish(written), what="telling of a notice")

    async def _publish(self, written: Document) -> None:
        async with self._telling:  # one after another: the outbox then knows what of a document has left already
            await self.outbox.publish_after_write(self._collection(), written)

    def _record(self, tenant_id: str, notice: Notice) -> Record:
        data, subject = self._encode(tenant_id, notice), notice.digest.hex()
        event = new_event(_TYPE, data, source="consent", subject=subject, sequence=notice.version, tenant_id=tenant_id)
        return to_record(event, CHANGED.name, self._partition_of(tenant_id, notice.digest))

    def _remember(self, id: str, notice: Notice) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known[id] = (notice, self._monotonic())


def _used_at(notice: Notice, at_us: int) -> Notice:
    return notice if notice.first_used_us is not None else replace(notice, first_used_us=at_us)


def _id_of(tenant_id: str, digest: bytes) -> str:
    return f"{tenant_id}/{digest.hex()}"


def _document_of(tenant_id: str, notice: Notice) -> Document:
    """Its `version` beside the store's own `v`, which also counts what leaves the outbox."""
    return {
        "_id": _id_of(tenant_id, notice.digest),
        "tenant": tenant_id,
        "wording": notice.wording,
        "language": notice.language,
        "from": notice.from_us,
        "until": notice.until_us,
        "first_used": notice.first_used_us,
        "registered": notice.registered_us,
        "version": notice.version,
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
        version=document.get("version") or document.get("v", 1),  # kept before it had one of its own
    )
