"""A tail: reading a topic's partitions on and on, through outages of the bus and changes of what is to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from postlaw_common.bus import Bus, BusUnavailable, Received
from postlaw_common.telemetry import get_logger

log = get_logger("sending.tailing")

AGAIN_AFTER_S = 0.25
POLL_S = 0.25  # so late, at most, a change of what is to be read is noticed on a quiet log
GLANCE_S = 0.05  # so often one topic is looked at while there is no room for the others
ANYTHING = ""


def _anything() -> str | None:
    return ANYTHING


class Tail:
    """`positions`: where to read on, asked at the start, after each `reassign` and after each outage. `take` gets what was read,
    `max_records` at most. `room`: for ANYTHING, for one topic alone, or (None) for nothing; asked before each read, and again after
    `go_on`. `standing`: see Bus.reader."""

    def __init__(
        self,
        bus: Bus,
        positions: Callable[[], Awaitable[Mapping[tuple[str, int], int]]],
        take: Callable[[list[Received]], None],
        *,
        max_records: int,
        room: Callable[[], str | None] = _anything,
        standing: bool = False,
    ) -> None:
        self._bus = bus
        self._positions = positions
        self._take = take
        self._max_records = max_records
        self._room = room
        self._standing = standing
        self._moved = asyncio.Event()
        self._again = asyncio.Event()

    def reassign(self) -> None:
        """What is to be read has changed."""
        self._moved.set()
        self._again.set()

    def go_on(self) -> None:
        """There may be room again."""
        self._again.set()

    async def run(self) -> None:
        """Background: never ends."""
        while True:
            try:
                await self._read_on()
            except BusUnavailable as gone:
                log.warning("bus_unavailable", error=str(gone))
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _read_on(self) -> None:
        reader = await self._bus.reader(standing=self._standing)
        try:
            self._moved.set()
            while True:
                self._again.clear()
                if self._moved.is_set():
                    self._moved.clear()
                    await reader.assign(await self._positions())
                room = self._room()
                if room is None:
                    await self._again.wait()
                    continue
                # Whoever waits for one topic must hear at once of room for the others.
                records = await reader.read(max_records=self._max_records, timeout=POLL_S if room == ANYTHING else 0, topic=room)
                if not self._moved.is_set():  # else they may be of an earlier holding, and lie beyond what this one is to read next
                    self._take(records)
                if not records and room != ANYTHING:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(GLANCE_S):
                            await self._again.wait()
        finally:
            await reader.close()
