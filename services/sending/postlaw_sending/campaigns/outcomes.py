"""The projection of settled batches: one document a batch, and the totals of each (campaign, partition) in one document.

The outcomes topic may hold a batch twice (its worker was killed between publishing and noting that), and this consumer may read a
record twice. A batch counts once all the same: its document keeps the offset that it was first read at, the totals the offset
up to which they count; a record counts when it is its batch's first and lies beyond the totals' offset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.campaigns.domain.recipients import Settled, Tally, count
from postlaw_sending.campaigns.plans import place_id
from postlaw_sending.campaigns.retries import batch_id, retry_documents

BATCHES = CollectionSpec("batches", (Index("campaign_id"),), packed=True)
TOTALS = CollectionSpec("totals", (Index("campaign_id"),))

_COUNTS = ("batches", "sent", "refused", "failed", "bounced", "expired", "unknown")  # in the order of Tally's fields


@dataclass(frozen=True, slots=True)
class Read:
    """A settled batch as it was read: its offset in the outcomes partition, and the event's own bytes."""

    offset: int
    event: bytes
    settled: Settled


class Outcomes:
    """`batches`, `totals` and `retries` of the database `sending`. One reader a partition at a time; a second one is refused by the
    totals' version and reads again."""

    def __init__(self, batches: Callable[[], Collection], totals: Callable[[], Collection], retries: Callable[[], Collection]) -> None:
        self._batches = batches
        self._totals = totals
        self._retries = retries

    async def apply(self, reads: Sequence[Read]) -> None:
        """In this order: who waits, the batches, the totals. A crash in between is made good when the records are read again."""
        first: dict[str, Read] = {}
        for read in reads:
            settled = read.settled
            first.setdefault(batch_id(settled.campaign_id, settled.partition, settled.batch), read)
        known = await self._batches().get_many(list(first))
        fresh = {id: read for id, read in first.items() if id not in known}
        # Before the batches: once a batch is noted the planner may take its waiting ones up, and remove them.
        waiting = [document for read in fresh.values() for document in retry_documents(read.settled)]
        if waiting:
            await self._retries().insert_many(waiting)
        overtaken = await self._batches().insert_many([_batch_document(id, read) for id, read in fresh.items()])
        if overtaken:
            known |= await self._batches().get_many(list(overtaken))
        by_place: defaultdict[tuple[str, int], list[Read]] = defaultdict(list)
        for id, read in first.items():
            if id not in known or known[id]["offset"] == read.offset:
                by_place[read.settled.campaign_id, read.settled.partition].append(read)
        for (campaign_id, partition), place in by_place.items():
            await self._count(campaign_id, partition, place)

    async def _count(self, campaign_id: str, partition: int, reads: Sequence[Read]) -> None:
        """Adds what lies beyond the offset that the totals count up to, in one write with the new offset."""
        id = place_id(campaign_id, partition)
        while True:
            document = await self._totals().get(id, linearizable=True)
            applied = document["offset"] if document else -1
            beyond = [read for read in reads if read.offset > applied]
            if not beyond:
                return
            tally = _tally(document) if document else Tally()
            for read in beyond:
                tally.add(count(read.settled))
            changed = _totals_document(id, campaign_id, max(read.offset for read in beyond), tally)
            if document and document.get("again"):
                changed["again"] = document["again"]
            if await self._replaced(document, changed):
                return

    async def _replaced(self, before: Document | None, changed: Document) -> bool:
        """False: somebody else came in between."""
        try:
            if before is None:
                await self._totals().insert(changed)
            else:
                await self._totals().replace(changed, version=before["v"])
        except (AlreadyExists, VersionConflict):
            return False
        return True

    async def mail_again(self, campaign_id: str, partition: int, batch: int, people: int) -> bool:
        """A batch's unknown recipients are no longer counted as such: they are about to be planned anew. False: they were before."""
        id = place_id(campaign_id, partition)
        while True:
            document = await self._totals().get(id, linearizable=True)
            before = document or _totals_document(id, campaign_id, -1, Tally())  # noted, but not counted yet
            again = before.get("again", ())
            if batch in again:
                return False
            tally = _tally(before)
            tally.unknown -= people
            changed = _totals_document(id, campaign_id, before["offset"], tally) | {"again": [*again, batch]}
            if await self._replaced(document, changed):
                return True

    async def mailed_again(self, campaign_id: str) -> set[str]:
        """Batches, by the `_id` of their documents, whose unknown recipients were planned anew."""
        found: set[str] = set()
        async for page in self._totals().scan("campaign_id", campaign_id):
            for document in page:
                found |= {f"{document['_id']}/{batch:08d}" for batch in document.get("again", ())}
        return found

    async def tally(self, campaign_id: str) -> Tally:
        """The whole campaign's, over at most one document per partition."""
        tally = Tally()
        async for page in self._totals().scan("campaign_id", campaign_id):
            for document in page:
                tally.add(_tally(document))
        return tally

    async def events(self, campaign_id: str, *, after: str, limit: int) -> list[tuple[str, bytes]]:
        """(`_id`, BatchSettled) of settled batches, in the order of partition and number."""
        page = await self._batches().find("campaign_id", campaign_id, after=after, limit=limit)
        return [(document["_id"], bytes(document["event"])) for document in page]


def _batch_document(id: str, read: Read) -> Document:
    return {"_id": id, "campaign_id": read.settled.campaign_id, "offset": read.offset, "event": read.event}


def _totals_document(id: str, campaign_id: str, offset: int, tally: Tally) -> Document:
    return {
        "_id": id,
        "campaign_id": campaign_id,
        "offset": offset,
        "counts": [getattr(tally, name) for name in _COUNTS],
        "reasons": [{"reason": reason, "number": number} for reason, number in tally.refused_by_reason.items()],
    }


def _tally(document: Document) -> Tally:
    return Tally(*document["counts"], refused_by_reason={each["reason"]: each["number"] for each in document["reasons"]})
