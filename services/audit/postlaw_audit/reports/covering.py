"""Whether the log has all that happened before a time: a report that is asked for while the log is behind would be signed, and lack it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from postlaw_audit.lagging import waiting
from postlaw_audit.log_state import LogState
from postlaw_audit.reader import LogReader
from postlaw_common.bus import Bus
from postlaw_common.errors import Unavailable

WITHIN_S: Final = 10.0  # an event is in the log within a second; longer, and the log is behind, which its own alert tells
_EVERY_S: Final = 0.1


class Covering:
    """`state`: the log's, None before its first commit."""

    def __init__(self, bus: Bus, state: Callable[[], Awaitable[LogState | None]], reader: LogReader) -> None:
        self._bus = bus
        self._state = state
        self._reader = reader
        self._covered_us = 0

    async def covered(self, until_us: int) -> None:
        """Returns once the published checkpoint covers whatever the bus took before then. Raises Unavailable where that takes too long."""
        ends_at = time.monotonic() + WITHIN_S
        while True:
            if await self._is(until_us):
                return
            if time.monotonic() > ends_at:
                raise Unavailable(
                    "The audit log is behind, and has not everything yet that happened before `until`: the report would lack it. Ask again "
                    "in a minute."
                )
            await asyncio.sleep(_EVERY_S)

    async def _is(self, until_us: int) -> bool:
        if until_us <= self._covered_us:
            return True
        state = await self._state()
        if state is None:
            return True  # nothing has happened; that there is no checkpoint is said by whoever asks for it
        async with aclosing(waiting(self._bus, state)) as lacking:
            async for first, _ in lacking:
                if first.timestamp_us < until_us:
                    return False
        if state.size and (await self._reader.checkpoint())[0].size < state.size:
            return False
        self._covered_us = until_us
        return True
