"""The log's one writer: topics in, committed entries out, at least once a second; then tiles, index and checkpoint.

Order of a batch: segment blob → commit (one document) → tiles and index, which follow from what is committed → checkpoint.
A writer that was paused and overtaken fails at its next commit; all that it may still write are bytes that any writer derives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from postlaw_audit.domain.merkle import subtree_root
from postlaw_audit.domain.tiles import WIDTH, GrowingTree, Tile, bundle, tile_path, unbundle
from postlaw_audit.entries import entries_of, event_id_of
from postlaw_audit.figures import shown
from postlaw_audit.index import EventIndex
from postlaw_audit.log_state import LogState, LogStates, Segment, WriterOvertaken
from postlaw_audit.notes import Checkpoint
from postlaw_common.blobs import BlobRetained, Blobs, BlobsUnavailable
from postlaw_common.bus import Bus, BusUnavailable, Reader, Received
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

BATCH = 8192  # records a commit, at most
GATHER_S = 0.2
PREFIX = "audit/"
CHECKPOINT = PREFIX + "checkpoint"
PUTS_AT_ONCE = 16


@dataclass(slots=True)
class Batch:
    """Entries that are to be committed together, with their event ids, and the offsets after them."""

    event_ids: list[str]
    entries: list[bytes]
    offsets: dict[str, list[int]]


class Writer:
    """`sign` makes a signed note of a checkpoint. `retain_until` gives the retention of full tiles, or None."""

    def __init__(
        self,
        bus: Bus,
        blobs: Blobs,
        states: LogStates,
        index: EventIndex,
        topics: Sequence[str],
        sign: Callable[[Checkpoint], str],
        origin: str,
        retain_until: Callable[[], datetime | None],
    ) -> None:
        self._bus = bus
        self._blobs = blobs
        self._states = states
        self._index = index
        self._topics = topics
        self._sign = sign
        self._origin = origin
        self._retain_until = retain_until
        self._state = LogState()
        self._tree = GrowingTree()
        self._limit = asyncio.Semaphore(PUTS_AT_ONCE)
        self._covered = 0  # entries below the published checkpoint
        self._covered_at = 0.0  # monotonic seconds when these last were all that was committed

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
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                with contextlib.suppress(WriterOvertaken, StoreUnavailable):
                    if self._state.owner:
                        await self._states.let_go(self._state)
                raise

    async def _write_as_owner(self, state: LogState) -> None:
        self._state = state
        await self._recover()
        reader = await self._bus.reader()
        try:
            partitions = self._bus.partitions
            offsets = {topic: state.offsets.get(topic, [0] * partitions) for topic in self._topics}
            await reader.assign({(topic, n): offset for topic, row in offsets.items() for n, offset in enumerate(row)})
            with shown(self._bus, lambda: {**offsets, **self._state.offsets}, lambda: self._state.size, lambda: self._covered_at):
                await self._write_on(reader, offsets)
        finally:
            await reader.close()

    async def _write_on(self, reader: Reader, offsets: dict[str, list[int]]) -> None:
        deriving: asyncio.Task[None] | None = None
        while True:
            records = await self._gather(reader)
            # Off the loop: where one process runs everything, thousands of entries must not keep an opt-out waiting.
            batch = await asyncio.to_thread(batch_of, records, {**offsets, **self._state.offsets})
            tiles = await self._commit(batch)
            if deriving is not None:
                await deriving
            deriving = asyncio.create_task(self._derive(self._state, tiles, batch))

    async def _gather(self, reader: Reader) -> list[Received]:
        """Records of up to GATHER_S, so that a commit is worth its writes; [] after a quiet while, to renew."""
        records: list[Received] = await reader.read(max_records=BATCH, timeout=1.0)
        if records and len(records) < BATCH:
            await asyncio.sleep(GATHER_S)
            records += await reader.read(max_records=BATCH - len(records), timeout=0.0)
        return records

    async def _commit(self, batch: Batch) -> list[Tile]:
        if not batch.entries:
            self._state = await self._states.commit(self._state)
            return []
        began = time.perf_counter()
        start = self._state.size
        segment = Segment(f"{PREFIX}segment/{start:015d}-{new_id('seg')}", start, len(batch.entries))
        await self._blobs.put(segment.key, bundle(batch.entries))
        full = await asyncio.to_thread(self._tree.append, batch.entries)
        below = [s for s in self._state.segments if s.start + s.count <= self._state.derived - self._state.derived % WIDTH]
        self._state = await self._states.commit(
            replace(
                self._state,
                size=self._tree.size,
                edge=[b"".join(row) for row in self._tree.levels],
                offsets=batch.offsets,
                segments=[s for s in self._state.segments if s not in below] + [segment],
            )
        )
        _committed.record(time.perf_counter() - began)
        for done in below:
            await self._blobs.delete(done.key)
        return [*full, *self._tree.partial_tiles()]

    async def _derive(self, state: LogState, tiles: Sequence[Tile], batch: Batch) -> None:
        """What follows from a commit. The checkpoint comes last: whoever reads it finds everything below it."""
        if not batch.entries:
            if self._covered >= state.size:
                self._covered_at = time.monotonic()
            return
        await self._put_tiles(tiles)
        await self._index.add(state.size - len(batch.entries), batch.event_ids)
        await self._publish_checkpoint(state)
        self._state.derived = max(self._state.derived, state.size)
        self._now_covers(state.size)

    def _now_covers(self, size: int) -> None:
        self._covered, self._covered_at = size, time.monotonic()

    async def _publish_checkpoint(self, state: LogState) -> None:
        note = self._sign(Checkpoint(self._origin, state.size, state.root()))
        await self._blobs.put(CHECKPOINT, note.encode())

    async def _put_tiles(self, tiles: Sequence[Tile]) -> None:
        async def put(tile: Tile) -> None:
            async with self._limit:
                until = self._retain_until() if tile.width == WIDTH else None
                with contextlib.suppress(BlobRetained):  # there already, and the same: a tile follows from what is committed
                    await self._blobs.put(PREFIX + tile.path, tile.data, retain_until=until)

        await asyncio.gather(*(put(tile) for tile in tiles))

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
            await self._publish_checkpoint(self._state)
        self._state.derived = self._state.size
        self._now_covers(self._state.size)


def batch_of(records: Sequence[Received], offsets: dict[str, list[int]]) -> Batch:
    """The records as entries, in the order read; `offsets` moved on behind them."""
    after = {topic: list(row) for topic, row in offsets.items()}
    event_ids: list[str] = []
    entries: list[bytes] = []
    for record in records:
        for event_id, entry in entries_of(record):
            event_ids.append(event_id)
            entries.append(entry)
        after[record.topic][record.partition] = record.offset + 1
    return Batch(event_ids, entries, after)


async def tree_at(size: int, blobs: Blobs) -> GrowingTree:
    """The tree's edge at a size that is a multiple of 256, from full tiles alone."""
    tree = GrowingTree(size, [[]])
    level = 1
    while size >> (8 * level):
        first = size >> (8 * (level + 1)) << 8
        width = (size >> (8 * level)) % WIDTH
        tiles = [await _got(blobs, PREFIX + tile_path(level - 1, first + i)) for i in range(width)]
        tree.levels.append([subtree_root([tile[i : i + 32] for i in range(0, 32 * WIDTH, 32)]) for tile in tiles])
        level += 1
    return tree


async def _got(blobs: Blobs, key: str) -> bytes:
    data = await blobs.get(key)
    if data is None:
        raise RuntimeError(f"the audit log lacks {key}; nothing is written until it is back")
    return data
