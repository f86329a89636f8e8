"""Foreground first: where one process runs everything, background work steps aside while a person waits for an answer.

An answer passes over the event loop some hundred times (each gRPC call alone a dozen); beside background work that always has more
to do, each pass costs one of its turns. In a process that answers nobody all of this is free.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from contextlib import contextmanager

PAUSE_S = 0.002  # long enough for several passes, short enough that background work keeps a good part of its speed

_waiting: set[object] = set()


@contextmanager
def answering() -> Generator[None]:
    """Somebody waits for what happens inside."""
    one = object()
    _waiting.add(one)
    try:
        yield
    finally:
        _waiting.discard(one)


def started() -> None:
    """A whole process is up: what it holds now lives as long as it does, and a full pass of the collector (47 ms, in which nobody
    is answered) need not walk it."""
    gc.freeze()


async def step_aside() -> None:
    """Between two short turns of background work (a millisecond or less): lets others run, and rests while somebody waits."""
    await asyncio.sleep(PAUSE_S if _waiting else 0)
