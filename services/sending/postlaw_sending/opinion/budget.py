"""How many questions a day may be asked, over all processes and through restarts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, VersionConflict

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
        while True:
            before = await self._open().get(_ID, linearizable=True)
            asked = before["asked"] if before is not None and before["day"] == today else 0
            if asked >= self._a_day:
                return False
            taken = {"day": today, "asked": asked + 1}
            try:
                if before is None:
                    await self._open().insert({"_id": _ID, **taken})
                else:
                    await self._open().replace(before | taken, version=before["v"])
            except (AlreadyExists, VersionConflict):
                continue
            return True
