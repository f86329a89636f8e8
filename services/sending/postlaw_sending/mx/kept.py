"""Answers kept for a while, asked for once however many wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

MOST = 50_000
T = TypeVar("T")


class Kept(Generic[T]):
    """What `ask` raises is told to all who wait, and kept for nobody."""

    def __init__(self, ask: Callable[[str], Awaitable[T]], for_s: float, monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._for_s = for_s
        self._monotonic = monotonic
        self._answers: dict[str, tuple[float, asyncio.Future[T]]] = {}

    async def of(self, name: str) -> T:
        known = self._answers.get(name)
        if known is None or self._monotonic() >= known[0]:
            known = self._answers[name] = (self._monotonic() + self._for_s, asyncio.ensure_future(self._ask(name)))
            while len(self._answers) > MOST:
                self._answers.pop(next(iter(self._answers)))
        try:
            return await asyncio.shield(known[1])
        except Exception:
            if self._answers.get(name) is known:
                del self._answers[name]
            raise
