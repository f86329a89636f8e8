"""Intents: what a bulk of consents is about to append, so that a crash between insert and publish loses no event.

Written before the ledger, deleted after the bus has taken the events; the relay publishes what an abandoned one names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.ids import new_id
from postlaw_common.store import Collection, CollectionSpec, Index, StoreUnavailable
from postlaw_common.telemetry import get_logger

INTENTS = CollectionSpec("intents", (Index("open"),))

_OPEN = "1"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Intent:
    """`ids` of ledger documents that may have been written by call `id`; `at_us`: when it began."""

    id: str
    ids: tuple[str, ...]
    at_us: int


class Intents:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection

    async def begin(self, ids: Sequence[str], at_us: int) -> str:
        """The intent's id, once it is durable."""
        call = new_id("int")
        await self._collection().insert({"_id": call, "open": _OPEN, "ids": "\n".join(ids), "at": at_us})
        return call

    async def end(self, call: str) -> None:
        """Its events are on the bus. Where the store is gone, the relay will publish them once more: harmless."""
        try:
            await self._collection().delete(call)
        except StoreUnavailable as gone:
            _log.warning("intent not deleted, its events will be published again", failure=type(gone).__name__)

    async def open(self, *, after: str = "", limit: int = 20) -> list[Intent]:
        """A page of them, the oldest first."""
        found = await self._collection().find("open", _OPEN, after=after, limit=limit)
        return [Intent(document["_id"], tuple(document["ids"].split("\n")), document["at"]) for document in found]
