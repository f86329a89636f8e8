"""The holdings in the store: every write replaces the version that its writer last saw, so an older epoch is refused (rule 2)."""

from __future__ import annotations

import time
from collections.abc import Callable

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, VersionConflict
from postlaw_sending.stop.holding import Holding, LeftOpen, from_document, holding_id, to_document

HOLDINGS = CollectionSpec("holdings")


class EpochRefused(Exception):
    """Somebody has raised the epoch: this partition is no longer ours, and nothing may be written or sent for it."""


def wall_clock_us() -> int:
    return time.time_ns() // 1000


class Holdings:
    """All partitions' holdings. `collection` is `holdings` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], partitions: int, now_us: Callable[[], int] = wall_clock_us) -> None:
        self._open = collection
        self.partitions = partitions
        self._now_us = now_us

    async def ensure(self) -> None:
        """Every partition has its document, unheld at first."""
        collection = self._open()
        there = {document["_id"] async for page in collection.scan() for document in page}
        for partition in range(self.partitions):
            if holding_id(partition) not in there:
                try:
                    await collection.insert(to_document(Holding(partition)))
                except AlreadyExists:
                    continue

    async def read(self, partition: int) -> Holding:
        """Never from a cache, nor from a stale replica (rule 3)."""
        document = await self._open().get(holding_id(partition), linearizable=True)
        if document is None:
            raise LookupError(f"partition {partition} has no holding; was it installed with fewer partitions?")
        return from_document(document)

    async def all(self) -> list[Holding]:
        """All of them, for observing renewals; not for judging an opt-out."""
        return [from_document(document) async for page in self._open().scan() for document in page]

    async def take(self, holding: Holding, owner: str | None, generation: str | None = None) -> Holding | None:
        """Raise the epoch and return the open claims in one write; None when somebody else wrote first.

        A new owner says of which generation the topics are that it reads."""
        holding.lapse(self._now_us())
        holding.raise_epoch(owner, self._now_us())
        if generation is not None:
            holding.enter(generation)
        try:
            stored = await self._open().replace(to_document(holding), version=holding.v)
        except VersionConflict:
            return None
        holding.v = stored["v"]
        return holding

    async def write(self, holding: Holding, *, held_by: str, fresh: list[LeftOpen]) -> None:
        """One write of the owner `held_by`, in the epoch that `holding` states. Raises EpochRefused once overtaken.

        Within an epoch others may only strike out `left_open` entries (attestation): that is adopted, and ours repeated.
        `fresh`: the entries at its end that no write has contained yet."""
        holding.lapse(self._now_us())
        while True:
            holding.renewals += 1
            try:
                stored = await self._open().replace(to_document(holding), version=holding.v)
            except VersionConflict as conflict:
                found = await self.read(holding.partition)
                if (found.owner, found.epoch) != (held_by, holding.epoch):
                    raise EpochRefused(f"partition {holding.partition} was taken over at epoch {found.epoch}") from conflict
                holding.left_open = found.left_open + fresh
                holding.v = found.v
                continue
            holding.v = stored["v"]
            return

    async def attest_end(self, worker: str) -> int:
        """The process of this worker has ended, sockets and all: what it left open no longer counts as under way.

        Returns how many recipients that clears. Where it still holds a partition, the epoch is raised first."""
        cleared = 0
        for seen in await self.all():
            holding: Holding | None = seen
            while holding is not None and holding.owner == worker:
                holding = None if await self.take(holding, None) else await self.read(seen.partition)
            cleared += await self.strike_out(seen.partition, worker)
        return cleared

    async def strike_out(self, partition: int, worker: str, up_to_epoch: int | None = None) -> int:
        """What this worker left open, in epochs up to the given one, has come to its end. Returns how many recipients that were."""
        while True:
            holding = await self.read(partition)
            kept = [e for e in holding.left_open if e.worker != worker or (up_to_epoch is not None and e.epoch > up_to_epoch)]
            struck = len(holding.left_open) - len(kept)
            if not struck:
                return 0
            holding.left_open = kept
            try:
                await self._open().replace(to_document(holding), version=holding.v)
            except VersionConflict:
                continue
            return struck
