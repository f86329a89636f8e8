"""A bus, a database and blobs without any service on them, for measuring one part alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postlaw_common.blobs import Blobs, open_blobs
from postlaw_common.bus import Bus, Topic, open_bus
from postlaw_common.memory import settled
from postlaw_common.store import CollectionSpec, Store, open_store


@dataclass(frozen=True, slots=True)
class Parts:
    bus: Bus
    store: Store
    blobs: Blobs

    async def start(self, collections: Sequence[CollectionSpec], topics: Sequence[Topic]) -> None:
        await self.bus.start()
        await self.bus.ensure_topics(topics)
        await self.store.start(collections)
        await self.blobs.start()
        settled()  # as every process of ours is

    async def close(self) -> None:
        await self.blobs.close()
        await self.store.close()
        await self.bus.close()


def embedded_parts(state: Path, database: str) -> Parts:
    return Parts(
        open_bus("embedded:", state=str(state)), open_store("sqlite:", database, state=str(state)), open_blobs("file:", state=str(state))
    )
