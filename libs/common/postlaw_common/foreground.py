"""Foreground first: where one process runs everything, background work steps aside while a person waits for an answer.

An answer passes over the event loop some hundred times (each gRPC call alone a dozen); beside background work that always has more
to do, each pass costs one of its turns. In a process that answers nobody all of this is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

PAUSE_S = 0.002  # long enough for several passes, short enough that background work keeps a good part of its speed


class _Turns:
    """Background work while somebody waits: one turn at a time, a pause apart. Were each to pause for itself, a dozen of them
    would fill the loop all the same."""

    def __init__(self) -> None:
        self._last = 0.0  # when the turn given out last begins, on the loop's clock

    def begin(self) -> None:
        self._last = 0.0

    def wait_s(self, now: float) -> float:
        self._last = max(now, self._last) + PAUSE_S
        return self._last - now


_waiting: set[object] = set()
_turns = _Turns()


@contextmanager
def answering() -> Generator[None]:
    """Somebody waits for what happens inside."""
    one = object()
    if not _waiting:
        _turns.begin()
    _waiting.add(one)
    try:
        yield
    finally:
        _waiting.discard(one)


async def step_aside() -> None:
    """Between two short turns of background work (a millisecond or less): lets others run, and waits for its turn while somebody waits."""
    await asyncio.sleep(_turns.wait_s(asyncio.get_running_loop().time()) if _waiting else 0)
