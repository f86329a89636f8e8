"""The first days of an address of ours: so many messages a day and no more, over all workers and through any restart.

A worker takes part of a day's messages ahead, in a document of that address and day. What it did not use when it was killed is lost to
that day: too few go out then, never too many.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_common.store.changing import change

WARM_UP = CollectionSpec("warm_up")
DAYS: Final[tuple[int, ...]] = tuple(tomllib.loads(Path(__file__).with_name("warm_up.toml").read_text(encoding="utf-8"))["days"])


class WarmUp:
    """`since`: of addresses that are new, their first day (UTC)."""

    def __init__(self, since: Mapping[str, date], collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._since = since
        self._open = collection
        self._now_us = now_us
        self._ahead: dict[str, int] = {}  # taken of the day's, not yet used
        self._lent: dict[str, int] = {}  # given out today, of which some may come back
        self._day = date.min
        self._over: set[str] = set()  # whose messages of the day are all taken

    def limit(self, address: str) -> int | None:
        """Of today; None where there is none (any more)."""
        since = self._since.get(address)
        if since is None:
            return None
        age = (self._today() - since).days
        return DAYS[max(0, age)] if age < len(DAYS) else None

    def spent(self, address: str) -> bool:
        """Nothing more leaves from there today, as far as is known here."""
        self._today()
        return address in self._over

    async def take(self, address: str, most: int) -> int:
        """How many of them may leave from there. Raises StoreUnavailable."""
        limit = self.limit(address)
        if limit is None:
            return most
        if not self._ahead.get(address):
            await self._take_ahead(address, limit)
        taken = min(most, self._ahead.get(address, 0))
        if taken:
            self._ahead[address] -= taken
            self._lent[address] = self._lent.get(address, 0) + taken
        return taken

    def give_back(self, address: str, unused: int) -> None:
        """Of what was taken; what was taken yesterday is over."""
        self._today()
        unused = min(unused, self._lent.get(address, 0))
        if unused > 0:
            self._lent[address] -= unused
            self._ahead[address] = self._ahead.get(address, 0) + unused

    async def _take_ahead(self, address: str, limit: int) -> None:
        day = self._today()
        id = f"{address}/{day.isoformat()}"

        def more(document: Document | None) -> Document:
            taken = _taken(document)
            return {"_id": id, "taken": max(taken, min(limit, taken + max(10, limit // 50)))}

        before, after = await change(self._open(), id, more)
        if self._today() != day:
            return
        if number := _taken(after) - _taken(before):
            self._ahead[address] = self._ahead.get(address, 0) + number
        else:
            self._over.add(address)

    def _today(self) -> date:
        today = datetime.fromtimestamp(self._now_us() / 1_000_000, UTC).date()
        if today != self._day:
            self._day, self._ahead, self._lent, self._over = today, {}, {}, set()
        return today


def _taken(document: Document | None) -> int:
    return document["taken"] if document else 0
