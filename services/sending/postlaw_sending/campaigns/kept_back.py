"""People of an audience whose time has not come: kept back by the planner, under no claim, until it takes them up.

They are named in the plan before they are put here (domain/plan.py). Whoever was taken up leaves their document, emptied: another
planner, which wrote the same plan and was held up, then puts nobody here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.bulk import bulk_delete
from postlaw_sending.campaigns.domain.plan import Kept
from postlaw_sending.campaigns.plans import place_id

KEPT_BACK = CollectionSpec("kept_back", (Index("place"), Index("campaign_id"), Index("taken_of")))


class KeptBack:
    """`collection`: `kept_back` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def put(self, campaign_id: str, partition: int, groups: Sequence[Kept]) -> None:
        """Again changes nothing."""
        if groups:
            await self._open().insert_many([_to_document(campaign_id, partition, group) for group in groups])

    async def due(self, campaign_id: str, partition: int, now_us: int, *, decided: bool, any_time: bool = False, limit: int) -> list[Kept]:
        """Whose time has come, longest due first. `decided`: also who waits for a winner. `any_time`: time no longer counts (the
        campaign was cancelled)."""
        due: list[Kept] = []
        for undecided in (False, True) if decided or any_time else (False,):
            page = await self._open().find("place", _place(campaign_id, partition, undecided=undecided), limit=limit)
            due += [_from_document(document) for document in page if any_time or document["due_us"] <= now_us]
        return due

    async def any(self, campaign_id: str) -> bool:
        return bool(await self._open().find("campaign_id", campaign_id, limit=1))

    async def get(self, ids: Sequence[str]) -> list[Kept]:
        """Those that were not taken up."""
        return [_from_document(document) for document in (await self._open().get_many(ids)).values() if document.get("place")]

    async def taken(self, campaign_id: str, ids: Sequence[str]) -> None:
        for id, document in (await self._open().get_many(ids)).items():
            if document.get("place"):
                try:
                    await self._open().replace({"_id": id, "taken_of": campaign_id}, version=document["v"])
                except VersionConflict:
                    continue  # another planner, with the same to say

    async def forget(self, campaign_id: str) -> None:
        """Once a campaign has ended for so long that no planner can be at it."""
        await bulk_delete(self._open(), "taken_of", campaign_id)


def _place(campaign_id: str, partition: int, *, undecided: bool) -> str:
    return place_id(campaign_id, partition) + ("/undecided" if undecided else "")


def _to_document(campaign_id: str, partition: int, group: Kept) -> Document:
    return {
        "_id": group.id,
        "place": _place(campaign_id, partition, undecided=group.undecided),
        "campaign_id": campaign_id,
        "due_us": group.due_us,
        "address_keys": list(group.address_keys),
        "subscriber_ids": list(group.subscriber_ids),
    }


def _from_document(document: Document) -> Kept:
    keys = tuple(bytes(key) for key in document["address_keys"])
    undecided = document["place"].endswith("/undecided")
    return Kept(document["_id"], document["due_us"], keys, tuple(document["subscriber_ids"]), undecided)
