"""Hard bounces counted by provider, so that one whose servers call everybody unknown by mistake does not cost a customer their people.

A provider is the domain of the address that a report names. A document is named by its digest: most domains are few people's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import change
from postlaw_sending.returns.days import day_of, is_recent

PROVIDERS: Final = CollectionSpec("bounces_by_provider", (Index("holding"),))
AT_LEAST: Final = 100  # on one day
TIMES: Final = 10  # what the days before had on average
DAYS: Final = 14

_HOLDING: Final = "1"


class Providers:
    """`collection`: `bounces_by_provider` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def counted(self, provider: str, at_us: int) -> tuple[bool, bool]:
        """Counts one more: whether it is held back, and whether it is the first that is. One that is counted twice holds back sooner, which
        costs nothing. Raises StoreUnavailable."""
        id, today = _name(provider), day_of(at_us)

        def one_more(document: Document | None) -> Document:
            days: dict[str, int] = document["days"] if document else {}
            days = {day: number for day, number in days.items() if is_recent(day, at_us, DAYS)}
            days[today] = days.get(today, 0) + 1
            holding = _holds(document) or (is_spike(days, today) and (document is None or document["released_on"] != today))
            return {
                "_id": id,
                "days": days,
                "holding": _HOLDING if holding else None,
                "provider": provider if holding else "",
                "released_on": document["released_on"] if document else "",
            }

        before, after = await change(self._open(), id, one_more)
        return _holds(after), _holds(after) and not _holds(before)

    async def holds(self, provider: str) -> bool:
        """Whether this provider's are held back, as of now. Raises StoreUnavailable."""
        return _holds(await self._open().get(_name(provider), linearizable=True))

    async def holding(self) -> list[str]:
        """The providers whose bounces are held back."""
        return sorted([document["provider"] async for page in self._open().scan("holding", _HOLDING) for document in page])

    async def release(self, provider: str, now_us: int) -> None:
        """Nothing of this provider's is held back any more today."""
        free = {"holding": None, "provider": "", "released_on": day_of(now_us)}
        await change(self._open(), _name(provider), lambda document: document | free if document is not None else None)


def is_spike(days: dict[str, int], today: str) -> bool:
    before = sum(number for day, number in days.items() if day != today) / (DAYS - 1)
    return days[today] >= AT_LEAST and days[today] > TIMES * before


def _holds(document: Document | None) -> bool:
    return document is not None and document["holding"] == _HOLDING


def _name(provider: str) -> str:
    return hashlib.sha256(provider.encode()).hexdigest()
