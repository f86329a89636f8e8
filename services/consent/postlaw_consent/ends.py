"""The ends of the consent partitions, asked of the log on a client that does nothing else."""

from __future__ import annotations

from postlaw_common.bus import Bus, EndOffsets
from postlaw_common.errors import Unavailable
from postlaw_consent.outgoing import EVENTS


class Ends:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._client: EndOffsets | None = None

    async def start(self) -> None:
        self._client = await self._bus.end_offset_client()

    async def end(self, partition: int) -> int:
        """The offset that the partition's next event will get. Raises BusUnavailable."""
        if self._client is None:
            raise Unavailable("The consent service has not started yet.")
        place = (EVENTS.name, partition)
        return (await self._client.end_offsets([place]))[place]

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
