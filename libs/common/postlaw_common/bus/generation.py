"""The generation of the topics: which log an offset belongs to.

After a restore the topics have their old names and other contents: an offset from before means nothing there, however well it fits.
So whatever keeps an offset outside the bus keeps the generation with it, and one of another generation is never compared.

It stands on the bus, in a topic of its own. Topics that were emptied have lost it, and whoever starts first begins a new one. A bus or a
store that was set back to an older point looks as it did then: whoever restored it raises the generation (`postlaw generation raise`).
A record names the generation that it follows, and counts only if that is the current one: of two that begin at once, the first counts.
One that was raised also says where the partitions of the topics ended: records behind that are others than those that stood there before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from postlaw_common.bus import Bus, BusUnavailable, EndOffsets, Reader, Received, Record, Topic
from postlaw_common.bus.once import end_offsets
from postlaw_common.ids import new_id
from postlaw_common.together import Together

GENERATIONS = Topic("postlaw.bus.generations.v1", partitions=1, retention_days=36_500)
PLACE = (GENERATIONS.name, 0)
FOLLOWS = "follows"
RAISED = "postlaw.bus.GenerationRaised"
_PATIENCE_S = 1.0
APART_S = 0.02  # between two questions, which cost both sides a millisecond: less than an opt-out that asks waits for its worker


class GenerationOver(Exception):
    """The topics are of another generation than this process began with. Nothing that it remembers of the bus counts any more."""


class Generations:
    """Asks the bus on clients of its own. `close` it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._clients: tuple[EndOffsets, Reader] | None = None
        self._turn = asyncio.Lock()
        self._asking: Together[None, list[Received]] = Together(self._answer, apart_s=APART_S)
        self._known: list[Received] = []
        self._last: Received | None = None

    async def now(self) -> str:
        """The generation as the log has it after this call began; "" where there is none. Raises BusUnavailable."""
        known = await self.all()
        return generation_of(known[-1]) if known else ""

    async def all(self) -> list[Received]:
        """The records that begin a generation, the current one's last. Raises BusUnavailable.

        Those who ask while an answer is under way, or within APART_S of the last question, share the next one."""
        return await self._asking(None)

    async def _answer(self, askers: Sequence[None]) -> list[list[Received]]:
        async with self._turn:
            try:
                if not await self._stands():
                    records = await self._records()
                    self._known, self._last = _fold(records), records[-1] if records else None
            except BusUnavailable:
                await self._drop_clients()
                raise
            return [self._known] * len(askers)

    async def begin(self) -> str:
        """The generation of this bus, begun here where there is none yet."""
        await self._bus.ensure_topics([GENERATIONS])
        return await self.now() or await self._follow("")

    async def raise_(self, topics: Sequence[str] = ()) -> str:
        """A new one: every offset that was kept outside the bus is void from here on. `topics`: those whose ends it notes."""
        await self._bus.ensure_topics([GENERATIONS, *(Topic(topic) for topic in topics)])
        current = await self.now()
        return await self._follow(current, b"\n" + json.dumps(await self._ends_of(topics)).encode())

    async def _ends_of(self, topics: Sequence[str]) -> dict[str, list[int]]:
        if not topics:
            return {}
        partitions = range(self._bus.partitions)
        ends = await end_offsets(self._bus, [(topic, n) for topic in topics for n in partitions])
        return {topic: [ends[topic, n] for n in partitions] for topic in topics}

    async def _follow(self, current: str, ends: bytes = b"") -> str:
        generation = new_id("gen").encode()
        headers = {FOLLOWS: current.encode(), "ce_id": generation, "ce_type": RAISED.encode()}
        await self._bus.publish([Record(*PLACE, generation + ends, headers=headers)])
        return await self.now()

    async def _stands(self) -> bool:
        """Whether the last record known stands where it stood, with none behind it: one question to the bus instead of two, and every
        opt-out waits for it. A fetch brings all that there is behind its offset, which is small here."""
        last, clients = self._last, self._clients
        if last is None or clients is None:
            return False
        _, reader = clients
        try:
            await reader.assign({PLACE: last.offset})
            found = await reader.read(timeout=_PATIENCE_S)
            await reader.assign({})
        except BusUnavailable:  # it ends before, for one: its log was replaced
            await self._drop_clients()
            return False
        return [(one.offset, one.value) for one in found] == [(last.offset, last.value)]

    async def _records(self) -> list[Received]:
        if self._clients is None:
            self._clients = await self._bus.end_offset_client(), await self._bus.reader()
        ends, reader = self._clients
        end = (await ends.end_offsets([PLACE]))[PLACE]
        found: list[Received] = []
        if end:
            await reader.assign({PLACE: 0})
        while end and (not found or found[-1].offset < end - 1):
            records = await reader.read(timeout=_PATIENCE_S)
            if not records:
                raise BusUnavailable(f"{GENERATIONS.name} ends at {end} and cannot be read")
            found += records
        await reader.assign({})  # else it waits at the end for more, and the next question waits behind that (on Kafka half a second)
        return found

    async def close(self) -> None:
        async with self._turn:
            await self._drop_clients()

    async def _drop_clients(self) -> None:
        clients, self._clients = self._clients, None
        for client in clients or ():
            await client.close()


def _fold(records: Sequence[Received]) -> list[Received]:
    current, counted = "", list[Received]()
    for record in records:
        if record.headers.get(FOLLOWS, b"").decode() == current:
            current = generation_of(record)
            counted.append(record)
    return counted


def generation_of(record: Received) -> str:
    """Which generation this record begins."""
    return record.value.partition(b"\n")[0].decode()


def resumed_at(value: bytes, offsets: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Where whoever had read up to these offsets, by topic and partition, goes on in the generation whose record has this value: at the end
    that the partition had when it was raised, where that was before. Topics on which a generation was begun were empty."""
    _, raised, ends = value.partition(b"\n")
    if not raised:
        return dict.fromkeys(offsets, 0)
    noted: dict[str, list[int]] = json.loads(ends)
    return {(topic, n): min(offset, noted[topic][n]) if topic in noted else offset for (topic, n), offset in offsets.items()}
