"""Two things that happen together, step by step in a given order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import permutations

# A person is Written and then Looked up; a suppression is Kept and then the people gone through (Scanned).
ORDERS = [order for order in permutations("wlks") if order.index("w") < order.index("l") and order.index("k") < order.index("s")]


class Turns:
    """Lets steps happen in one order: each waits for its own turn."""

    def __init__(self, order: Sequence[str]) -> None:
        self._left = list(order)
        self._changed = asyncio.Condition()

    async def wait(self, step: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: step not in self._left or self._left[0] == step)

    async def done(self, step: str) -> None:
        async with self._changed:
            if step in self._left:
                self._left.remove(step)
            self._changed.notify_all()
