"""How many questions a day may be asked, over all processes and through restarts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_common.store.changing import change

BUDGETS: Final = CollectionSpec("opinion_budgets")
_ID: Final = "asked"


class Budget:
    """`collection`: `opinion_budgets` of the database `sending`. `a_day`: of UTC."""

    def __init__(self, collection: Callable[[], Collection], a_day: int, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._a_day = a_day
        self._now_us = now_us

    async def take(self) -> bool:
        """One of today's, before it is asked; False where there is none left."""
        today = datetime.fromtimestamp(self._now_us() / 1e6, UTC).date().isoformat()

        def one_more(document: Document | None) -> Document | None:
            asked = document["asked"] if document is not None and document["day"] == today else 0
            return None if asked >= self._a_day else {"_id": _ID, "day": today, "asked": asked + 1}

        before, after = await change(self._open(), _ID, one_more)
        return after is not before
