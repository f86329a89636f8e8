"""Who holds which partition: through the holdings alone, never by a consumer group's balance (design §4).

Every worker keeps a beat in the roll; each takes free and lost partitions up to its fair share, and hands back what is beyond it.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Iterable

from postlaw_common.ids import new_id
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, VersionConflict
from postlaw_sending.stop.holding import Holding
from postlaw_sending.stop.observing import LEASE_S, Observer

WORKERS = CollectionSpec("workers")


def new_worker_id() -> str:
    """Unlike any other process's, before or after: an attestation names one process."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id('wrk')}"


class Roll:
    """The workers that live, by their beats: one that has not moved for a lease time is gone."""

    def __init__(self, collection: Callable[[], Collection], worker: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open = collection
        self._worker = worker
        self._monotonic = monotonic
        self._mine: dict[str, object] | None = None
        self._seen: dict[str, tuple[int, float]] = {}

    async def beat(self) -> set[str]:
        """Tells that we live, and returns everyone who does."""
        collection = self._open()
        if self._mine is None:
            with contextlib.suppress(AlreadyExists):
                await collection.insert({"_id": self._worker})
            self._mine = await collection.get(self._worker)
        if self._mine is not None:
            try:
                self._mine = await collection.replace({"_id": self._worker}, version=self._version())
            except VersionConflict:
                self._mine = await collection.get(self._worker)
        now = self._monotonic()
        living = {self._worker}
        async for page in collection.scan():
            for document in page:
                name, beats = document["_id"], document["v"]
                seen = self._seen.get(name)
                if seen is None or seen[0] != beats:
                    self._seen[name] = (beats, now)
                    living.add(name)
                elif now - seen[1] < LEASE_S:
                    living.add(name)
                elif now - seen[1] > 100 * LEASE_S:
                    await collection.delete(name)
                    del self._seen[name]
        return living

    def _version(self) -> int:
        version = (self._mine or {}).get("v", 0)
        return version if isinstance(version, int) else 0

    async def leave(self) -> None:
        await self._open().delete(self._worker)


def to_take(holdings: Iterable[Holding], observer: Observer, held: int, share: int) -> list[Holding]:
    """Free and lost ones, as many as the share still allows; those that keep somebody waiting first."""
    free = [h for h in holdings if h.owner is None or observer.is_lost(h)]
    free.sort(key=lambda h: (h.owner is None and not h.batches, h.partition))
    return free[: max(0, share - held)]


def fair_share(partitions: int, workers: int) -> int:
    return math.ceil(partitions / max(1, workers))
