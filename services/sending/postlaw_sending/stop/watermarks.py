"""The watermarks as they come: for each partition the newest, for those who await a stop."""

from __future__ import annotations

import asyncio

from postlaw_common.bus import Bus, Received
from postlaw_common.bus.once import end_offsets
from postlaw_sending.stop.tailing import Tail
from postlaw_sending.stop.wire import WATERMARKS, Applied


class Watermarks:
    """Tails the watermark topic over all partitions, from the last record of each."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._latest: dict[tuple[int, str], Applied] = {}  # by generation of the topics, too: after a restore epochs may come again
        self._changed: dict[int, asyncio.Event] = {}
        self._tail = Tail(bus, self._last, self.see, max_records=5000, standing=True)

    def latest(self, partition: int, generation: str) -> Applied | None:
        return self._latest.get((partition, generation))

    async def moved(self, partition: int, generation: str, since: Applied | None, timeout: float) -> None:
        """Returns once the newest differs from `since`, or after `timeout` seconds."""
        if self._latest.get((partition, generation)) is not since:
            return
        event = self._changed.setdefault(partition, asyncio.Event())
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            return

    def see(self, records: list[Received]) -> None:
        for record in records:
            mark = Applied.from_bytes(record.value)
            known = self._latest.get((mark.partition, mark.generation))
            # The log orders one holder's watermarks; across holders the epoch does.
            if known is None or mark.epoch >= known.epoch:
                self._latest[mark.partition, mark.generation] = mark
                event = self._changed.pop(mark.partition, None)
                if event is not None:
                    event.set()

    async def run(self) -> None:
        """Background: never ends; a bus that is gone is waited for."""
        await self._tail.run()

    async def _last(self) -> dict[tuple[str, int], int]:
        ends = await end_offsets(self._bus, [(WATERMARKS, partition) for partition in range(self._bus.partitions)])
        return {where: max(0, end - 1) for where, end in ends.items()}
