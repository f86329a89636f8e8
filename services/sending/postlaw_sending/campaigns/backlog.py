"""How much work stands in the log, so that no more than a little is planned ahead and a large campaign blocks nobody (design §4)."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Bus, EndOffsets
from postlaw_common.store import Collection
from postlaw_sending.campaigns.wire import JOBS


class Backlog:
    """`holdings`: the stop's collection, of which only `job_offset` is read here. `limit`: batches not yet taken, per partition."""

    def __init__(self, bus: Bus, holdings: Callable[[], Collection], limit: int) -> None:
        self._bus = bus
        self._holdings = holdings
        self._limit = limit
        self._client: EndOffsets | None = None

    async def room(self, partition: int) -> tuple[int, int]:
        """(how many batches may be published now, the end of the jobs partition)."""
        if self._client is None:
            self._client = await self._bus.end_offset_client()
        # The log's end first: what is taken meanwhile only makes more room than we say.
        end = (await self._client.end_offsets([(JOBS, partition)]))[JOBS, partition]
        holding = await self._holdings().get(f"p{partition:04d}")
        taken = holding["job_offset"] if holding else 0
        return max(0, self._limit - (end - taken)), end

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
