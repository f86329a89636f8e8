"""The embedded bus, which a test can take away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postlaw_common.bus import Bus, BusUnavailable, EndOffsets, GroupReader, Reader, Received, Record, Topic


class UnreliableBus:
    """The embedded bus, which a test can take away: `down` refuses, `hanging` does not answer until `release` is set."""

    def __init__(self, inner: Bus) -> None:
        self.inner = inner
        self.down = False
        self.hanging = False
        self.release = asyncio.Event()

    @property
    def partitions(self) -> int:
        return self.inner.partitions

    async def start(self) -> None:
        await self.inner.start()

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        await self.inner.ensure_topics(topics)

    async def publish(self, records: Sequence[Record]) -> list[int]:
        if self.down:
            raise BusUnavailable("taken away by the test")
        if self.hanging:
            await self.release.wait()
            raise BusUnavailable("taken away by the test")
        return await self.inner.publish(records)

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> Reader:
        return await self.inner.reader()

    async def group(self, group: str, topics: Sequence[str]) -> GroupReader:
        return await self.inner.group(group, topics)

    async def end_offset_client(self) -> EndOffsets:
        return await self.inner.end_offset_client()

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        return await self.inner.read_range(topic, partition, start, end)

    async def close(self) -> None:
        await self.inner.close()
