"""The log's one writer: topics in, committed entries out, at least once a second; then tiles, index and checkpoint.

Order of a batch: segment blob → commit (one document) → tiles and index, which follow from what is committed → checkpoint.
A writer that was paused and overtaken fails at its next commit; all that it may still write are bytes that any writer derives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import ParamSpec, TypeVar

from postlaw_audit.batch import Batch, batch_of, resumed
from postlaw_audit.domain.merkle import subtree_root
from postlaw_audit.domain.tiles import WIDTH, GrowingTree, Tile, bundle, tile_path, unbundle
from postlaw_audit.entries import event_id_of
from postlaw_audit.figures import shown
from postlaw_audit.index import EventIndex
from postlaw_audit.log_state import LogState, LogStates, Segment, WriterOvertaken
from postlaw_audit.publishing import Publisher
from postlaw_audit.restored import begun_since, refuse_set_back
from postlaw_audit.sources import PREFIX
from postlaw_audit.witnessing import Witnessing
from postlaw_common.blobs import BlobExists, BlobRetained, Blobs, BlobsUnavailable
from postlaw_common.bus import Bus, BusUnavailable, Reader, Received
from postlaw_common.bus.generation import Generations, generation_of
from postlaw_common.ids import new_id
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter

log = get_logger("audit.writer")
_committed = meter("postlaw.audit").create_histogram(
    "postlaw.audit.commit.duration",
    unit="s",
    description="Commits of entries, until they are durable",
    explicit_bucket_boundaries_advisory=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
)

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 4096  # records a commit, at most: three batches are in memory at a time, some 2 kB a record
GATHER_S = 0.3  # a commit costs the same however few are in it; an entry is to be below the checkpoint within a second (ADR 58)
FEW = 64  # entries that take a millisecond of the event loop
SEGMENTS = PREFIX + "segment/"
AT_ONCE = 16  # requests to the bucket


class Writer:
    """`retain_until` gives the retention of full tiles, or None. `witnessing` asks for cosignatures while this process owns the log."""

    def __init__(
        self,
        bus: Bus,
        blobs: Blobs,
        states: LogStates,
        index: EventIndex,
        topics: Sequence[str],
        publisher: Publisher,
        retain_until: Callable[[], datetime | None],
        witnessing: Witnessing | None = None,
    ) -> None:
        self._generations = Generations(bus)
        self._bus = bus
        self._blobs = blobs
        self._states = states
        self._index = index
        self._topics = topics
        self._publisher = publisher
        self._retain_until = retain_until
        self._witnessing = witnessing
        self._state = LogState()
        self._tree = GrowingTree()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._derived = 0  # entries below it are in tiles and in the index
        self._needless: list[Segment] = []  # in full tiles, and in no state any more
        self._covered_at = time.monotonic()  # seconds when these last were all that was committed

    async def run(self) -> None:
        """Background. Waits for ownership, writes until overtaken or told to stop; what cannot be reached is waited for."""
        while True:
            try:
                state = await self._states.try_to_own()
                if state is None:
                    await asyncio.sleep(0.5)
                    continue
                await self._write_as_owner(state)
            except WriterOvertaken as overtaken:
                log.warning("audit_writer_overtaken", reason=str(overtaken))
            except (BusUnavailable, StoreUnavailable, BlobsUnavailable) as unavailable:
                log.warning("audit_writer_waits", error=str(unavailable))
                with self._shown() if self._state.owner else contextlib.nullcontext():
                    await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                with contextlib.suppress(WriterOvertaken, StoreUnavailable):
                    if self._state.owner:
                        await self._states.let_go(self._state)
                raise

    async def _write_as_owner(self, state: LogState) -> None:
        self._state = state
        with self._shown():
            await self._recover()
            try:
                await self._enter_generations()
                reader = await self._bus.reader(unhurried=True, standing=True)
                try:
                    offsets = self._offsets()
                    await reader.assign({(topic, n): offset for topic, row in offsets.items() for n, offset in enumerate(row)})
                    async with self._witnessed():
                        await self._write_on(reader)
                finally:
                    await reader.close()
            finally:
                await self._generations.close()

    @contextlib.asynccontextmanager
    async def _witnessed(self) -> AsyncGenerator[None]:
        if self._witnessing is None:
            yield
            return
        asking = asyncio.create_task(self._witnessing.run(lambda: self._states.still_owns(self._state)))
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _shown(self) -> AbstractContextManager[None]:
        """How far it is behind: to be seen above all while the bucket is away."""
        return shown(self._bus, self._offsets, lambda: self._state.size, lambda: self._covered_at)

    def _offsets(self) -> dict[str, list[int]]:
        return {topic: self._state.offsets.get(topic, [0] * self._bus.partitions) for topic in self._topics}

    async def _enter_generations(self) -> None:
        batch = Batch([], [], self._offsets())
        if begun := await begun_since(self._generations, self._state.generations):
            for record in begun if self._state.generations else ():  # a new log has nothing to go back from
                batch = resumed(batch, record)
            self._state = replace(self._state, generations=[*self._state.generations, *map(generation_of, begun)])
            await self._derive(self._state, await self._commit(batch), batch.event_ids)
        await refuse_set_back(self._bus, batch.offsets)

    async def _write_on(self, reader: Reader) -> None:
        """What waits on the bus or the bucket overlaps: the next records are gathered while these are committed, and the last derived."""
        gathering = asyncio.create_task(self._gather(reader))
        deriving = asyncio.create_task(asyncio.sleep(0))
        sweeping = asyncio.create_task(asyncio.sleep(0))
        try:
            while True:
                records = await gathering
                if 0 < len(records) < BATCH:  # what came while the batch before was on its way
                    records += await reader.read(max_records=BATCH - len(records), timeout=0.0)
                gathering = asyncio.create_task(self._gather(reader))
                batch = await _worked(len(records), batch_of, records, self._offsets())
                del records  # megabytes, like the entries below, which nobody needs while they wait for what comes next
                tiles = await self._commit(batch)
                await deriving
                deriving = asyncio.create_task(self._derive(self._state, tiles, batch.event_ids))
                del batch, tiles
                if self._needless and sweeping.done():
                    await sweeping
                    needless, self._needless = self._needless, []
                    sweeping = asyncio.create_task(self._delete(needless))
        finally:
            # None may outlive the ownership: whoever writes next, perhaps this very process, publishes checkpoints of its own.
            for task in (gathering, deriving, sweeping):
                task.cancel()
            await asyncio.gather(gathering, deriving, sweeping, return_exceptions=True)

    async def _gather(self, reader: Reader) -> list[Received]:
        """The next records, once the first is GATHER_S old, so that a commit is worth its writes; [] after a quiet while, to renew."""
        records: list[Received] = await reader.read(max_records=BATCH, timeout=1.0)
        if records and len(records) < BATCH:
            waited_us = time.time_ns() // 1000 - min(record.timestamp_us for record in records)  # by a broker's clock, perhaps
            await asyncio.sleep(GATHER_S - min(max(0.0, waited_us / 1e6), GATHER_S))
        return records

    async def _commit(self, batch: Batch) -> list[Tile]:
        if not batch.entries:
            await self._check_generation()
            self._state = await self._states.commit(self._state)
            return []
        began = time.perf_counter()
        segment = Segment(f"{SEGMENTS}{self._state.size:015d}-{new_id('seg')}", self._state.size, len(batch.entries))
        appending = _worked(len(batch.entries), self._tree.append, batch.entries)
        # The generation is asked for after the records were read, and known before they count.
        full, _, _ = await asyncio.gather(appending, self._put_segment(segment, batch.entries), self._check_generation())
        below = [s for s in self._state.segments if s.start + s.count <= self._derived - self._derived % WIDTH]
        self._state = await self._states.commit(
            replace(
                self._state,
                size=self._tree.size,
                edge=[b"".join(row) for row in self._tree.levels],
                offsets=batch.offsets,
                segments=[s for s in self._state.segments if s not in below] + [segment],
                derived=self._derived,
            )
        )
        _committed.record(time.perf_counter() - began)
        self._needless += below
        return [*full, *self._tree.partial_tiles()]

    async def _check_generation(self) -> None:
        if [await self._generations.now()] != self._state.generations[-1:]:
            raise WriterOvertaken("the topics were replaced, and the records may be of another log than the offsets: to be owned anew")

    async def _put_segment(self, segment: Segment, entries: Sequence[bytes]) -> None:
        data = await _worked(len(entries), bundle, entries)
        with contextlib.suppress(BlobExists):  # nobody else has this name: an earlier try of ours did get there
            await self._blobs.put(segment.key, data, if_absent=True)

    async def _derive(self, state: LogState, tiles: Sequence[Tile], event_ids: Sequence[str]) -> None:
        """What follows from a commit of entries with these ids. The checkpoint comes last: whoever reads it finds everything below it."""
        if event_ids:
            await asyncio.gather(self._put_tiles(tiles), self._index.add(state.size - len(event_ids), event_ids))
            await self._states.still_owns(state)
            await self._publisher.publish(state)
            self._derived = state.size
        elif state.size and await self._publisher.published_size() < state.size:
            # One that was paused between asking whether it still owns the log and this put has set its own, older one in our place.
            await self._publisher.publish(state)
        self._covered_at = time.monotonic()

    async def _put_tiles(self, tiles: Sequence[Tile]) -> None:
        async def put(tile: Tile) -> None:
            async with self._limit:
                until = self._retain_until() if tile.width == WIDTH else None
                with contextlib.suppress(BlobExists, BlobRetained):  # the same one: a tile follows from what is committed
                    await self._blobs.put(PREFIX + tile.path, tile.data, retain_until=until, if_absent=True)

        await asyncio.gather(*(put(tile) for tile in tiles))

    async def _delete(self, needless: Sequence[Segment]) -> None:
        """A hundred whenever a tile is full, and no checkpoint waits for it. What a crash leaves is swept by whoever recovers."""
        for segment in needless:
            await self._blobs.delete(segment.key)

    async def _recover(self) -> None:
        """From the committed segments: the tree's edge, and whatever a predecessor did not come to derive."""
        derived = self._state.derived - self._state.derived % WIDTH
        self._tree = await tree_at(derived, self._blobs)
        tiles: list[Tile] = []
        for segment in self._state.segments:
            entries = unbundle(await _got(self._blobs, segment.key))
            if segment.start + segment.count > derived:
                tiles += self._tree.append(entries[max(0, derived - segment.start) :])
            await self._index.add(segment.start, [event_id_of(entry) for entry in entries])
        if self._tree.size != self._state.size or self._tree.root() != self._state.root():
            raise RuntimeError(f"the audit log's segments do not lead to its committed root at size {self._state.size}; nothing is written")
        await self._put_tiles([*tiles, *self._tree.partial_tiles()])
        if self._state.size:
            await self._publisher.publish(self._state)
        self._derived = self._state.size
        self._covered_at = time.monotonic()
        await self._sweep_segments(self._state)

    async def _sweep_segments(self, state: LogState) -> None:
        """What a crash left between put and commit, or between commit and delete. Those from the state's size on may be another's, who
        has overtaken this writer meanwhile; those below it are in this state, or will never be in any."""
        kept = {segment.key for segment in state.segments}
        async for key in self._blobs.keys(SEGMENTS):
            if key not in kept and int(key.removeprefix(SEGMENTS).partition("-")[0]) < state.size:
                await self._blobs.delete(key)


async def _worked(entries: int, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Off the loop, unless there are few: where one process runs everything, thousands of entries must not keep an opt-out waiting, nor
    ten of them wait for a thread's turn, which takes longer than they do."""
    return call(*args, **kwargs) if entries <= FEW else await asyncio.to_thread(call, *args, **kwargs)


async def tree_at(size: int, blobs: Blobs) -> GrowingTree:
    """The tree's edge at a size that is a multiple of 256, from full tiles alone."""
    tree = GrowingTree(size, [[]])
    level = 1
    while size >> (8 * level):
        first = size >> (8 * (level + 1)) << 8
        width = (size >> (8 * level)) % WIDTH
        paths = [PREFIX + tile_path(level - 1, first + i) for i in range(width)]
        tiles: list[bytes] = []
        for at in range(0, width, AT_ONCE):
            tiles += await asyncio.gather(*(_got(blobs, path) for path in paths[at : at + AT_ONCE]))
        tree.levels.append([subtree_root(tile) for tile in tiles])
        level += 1
    return tree


async def _got(blobs: Blobs, key: str) -> bytes:
    data = await blobs.get(key)
    if data is None:
        raise RuntimeError(f"the audit log lacks {key}; nothing is written until it is back")
    return data
