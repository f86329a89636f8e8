"""Who plans a campaign: a lease document each, with an epoch.

As with holdings (design §3), time only decides when a planner counts as lost: its renewal count has stood still for a lease time
on the observer's own clock. What keeps two planners from planning the same people twice is the version of the plans, not the lease.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.changing import change
from postlaw_common.telemetry import get_logger

log = get_logger("sending.campaigns.leases")

LEASES = CollectionSpec("campaign_leases", (Index("open"),))

LEASE_S = 3.0
RENEW_EVERY_S = 1.0


class Leases:
    """`collection`: `campaign_leases` of the database `sending`. `owner`: this process. `generation`: of the topics.

    A campaign that was launched on topics of another generation is never planned again: its plans say less than was mailed where the
    store was set back, and speak of batches that are gone where the topics were."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        owner: str,
        generation: Callable[[], str],
        *,
        lease_s: float = LEASE_S,
        renew_every_s: float = RENEW_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = collection
        self._owner = owner
        self._generation = generation
        self._void: set[str] = set()
        self._lease_s = lease_s
        self._renew_every_s = renew_every_s
        self._monotonic = monotonic
        self._held: dict[str, tuple[Document, float]] = {}
        self._seen: dict[str, tuple[tuple[str, int, int], float]] = {}

    async def offer(self, campaign_id: str) -> None:
        """From now on somebody is to plan this campaign. Before the campaign's own change, so that a crash forgets neither."""
        with contextlib.suppress(AlreadyExists):
            await self._open().insert(
                {"_id": campaign_id, "open": "yes", "owner": None, "epoch": 0, "renewals": 0, "generation": self._generation()}
            )

    async def reopen(self, campaign_id: str) -> None:
        """There is something to plan again, of a campaign that had nothing left. Written also where it is still open: whoever planned it
        may be about to close it, and is overtaken by this."""
        await change(self._open(), campaign_id, lambda found: found | {"open": "yes"} if found is not None else None)

    async def hold(self) -> set[str]:
        """Renews what is ours and takes what nobody holds or whose holder is lost; the campaigns that are ours now."""
        documents = [document async for page in self._open().scan("open", "yes") for document in page]
        held: dict[str, tuple[Document, float]] = {}
        for document in documents:
            if document["generation"] != self._generation():
                self._say_void(document["_id"])
                continue
            kept = await self._hold(document)
            if kept is not None:
                held[document["_id"]] = kept
        self._held = held
        self._seen = {id: seen for id, seen in self._seen.items() if any(document["_id"] == id for document in documents)}
        return set(held)

    def _say_void(self, campaign_id: str) -> None:
        if campaign_id not in self._void:
            self._void.add(campaign_id)
            log.alert("campaign of an earlier generation of the topics is not sent on; cancel it", campaign_id=campaign_id)

    async def _hold(self, document: Document) -> tuple[Document, float] | None:
        now = self._monotonic()
        ours = self._held.get(document["_id"])
        if ours is not None and (document["owner"], document["epoch"]) == (self._owner, ours[0]["epoch"]):
            if now - ours[1] < self._renew_every_s:
                return ours
            return await self._write(document | {"renewals": document["renewals"] + 1})
        if document["owner"] is None or self._is_lost(document, now):
            return await self._write(
                document | {"owner": self._owner, "epoch": document["epoch"] + 1, "renewals": document["renewals"] + 1}
            )
        return None

    def _is_lost(self, document: Document, now: float) -> bool:
        mark = (document["owner"], document["epoch"], document["renewals"])
        seen = self._seen.get(document["_id"])
        if seen is None or seen[0] != mark:
            self._seen[document["_id"]] = (mark, now)
            return False
        return now - seen[1] >= self._lease_s

    async def _write(self, document: Document) -> tuple[Document, float] | None:
        try:
            return await self._open().replace(document, version=document["v"]), self._monotonic()
        except VersionConflict:
            return None

    async def close(self, campaign_id: str) -> None:
        """Nothing of this campaign is left to plan, ever."""
        held = self._held.pop(campaign_id, None)
        if held is not None:
            with contextlib.suppress(VersionConflict):
                await self._open().replace(held[0] | {"open": None, "owner": None}, version=held[0]["v"])

    async def release(self) -> None:
        """An orderly stop: others need not wait until we count as lost."""
        for campaign_id, (document, _) in list(self._held.items()):
            self._held.pop(campaign_id)
            with contextlib.suppress(VersionConflict):
                await self._open().replace(document | {"owner": None}, version=document["v"])
