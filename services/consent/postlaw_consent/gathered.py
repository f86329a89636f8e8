"""What nobody waits for any more, done for several at a time.

A write of its own for each opt-out costs a millisecond of our process's time and as much of the server's, however little it says: while
people say stop by the dozen a second, that is what the mail and the next of them wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from postlaw_consent.afterwards import Afterwards

T = TypeVar("T")


class Gathered(Generic[T]):
    """`do` gets all that was added within `seconds` of the first. `what`: its name in logs, should it fail."""

    def __init__(self, do: Callable[[list[T]], Awaitable[None]], afterwards: Afterwards, *, seconds: float, what: str) -> None:
        self._do = do
        self._afterwards = afterwards
        self._seconds = seconds
        self._what = what
        self._added: list[T] = []

    def add(self, one: T) -> None:
        self._added.append(one)
        if len(self._added) == 1:
            self._afterwards.begin(self._begun(), what=self._what)

    async def _begun(self) -> None:
        await asyncio.sleep(self._seconds)
        added, self._added = self._added, []
        await self._do(added)
