"""Intents: what a bulk of consents is about to append, so that a crash between insert and publish loses no event.

Written before the ledger, deleted after the bus has taken the events; the relay publishes what an abandoned one names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

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
        self._writing: set[str] = set()
        self._ending: set[str] = set()

    @asynccontextmanager
    async def begun(self, ids: Sequence[str], at_us: int) -> AsyncGenerator[str]:
        """The intent's id, once it is durable. Until it is left, or has ended, it is in this process's own hands."""
        call = new_id("int")
        self._writing.add(call)
        try:
            await self._collection().insert({"_id": call, "open": _OPEN, "ids": "\n".join(ids), "at": at_us})
            yield call
        finally:
            self._writing.discard(call)

    def in_hand(self) -> frozenset[str]:
        """What calls of this process are at. However long one takes, its own relay does not take it for abandoned."""
        return frozenset(self._writing | self._ending)

    def end(self, call: str) -> Coroutine[Any, Any, None]:
        """Its events are on the bus. Where the store is gone, the relay will publish them once more: harmless."""
        self._ending.add(call)  # from now on, not from when it first runs: the call is left in between
        return self._end(call)

    async def _end(self, call: str) -> None:
        try:
            await self._collection().delete(call)
        except StoreUnavailable as gone:
            _log.warning("intent not deleted, its events will be published again", failure=type(gone).__name__)
        finally:
            self._ending.discard(call)

    async def open(self, *, after: str = "", limit: int = 20) -> list[Intent]:
        """A page of them, the oldest first."""
        found = await self._collection().find("open", _OPEN, after=after, limit=limit)
        return [Intent(document["_id"], tuple(document["ids"].split("\n")), document["at"]) for document in found]
