"""Work that waits in documents: done in passes, at once when something arrives, and again after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger

AGAIN_S: Final = 5.0  # what an outage, or a process that is gone, has left behind
_log = get_logger("sending.returns")


class Passes:
    """`one` is a pass over all that waits; an outage ends it."""

    def __init__(self, what: str, one: Callable[[], Awaitable[None]]) -> None:
        self._what = what
        self._one = one
        self._arrived = asyncio.Event()

    def nudge(self) -> None:
        """Something has arrived."""
        self._arrived.set()

    async def run(self) -> None:
        """A background."""
        while True:
            self._arrived.clear()
            try:
                await self._one()
            except OUTAGES as away:
                _log.warning("what came back waits", what=self._what, failure=type(away).__name__)
            try:
                await asyncio.wait_for(self._arrived.wait(), AGAIN_S)
            except TimeoutError:
                continue
