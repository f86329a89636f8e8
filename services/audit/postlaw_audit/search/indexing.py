"""Follows the log's checkpoint, and keeps what entries are found by: the last rows in memory, whole spans in the store.

Each process has its own: they build the same, and whoever comes second finds it there.
"""

from __future__ import annotations

import asyncio
import time

from postlaw_audit.domain.tiles import WIDTH
from postlaw_audit.reader import LogReader
from postlaw_audit.search.about import about
from postlaw_audit.search.events import Event, Joined
from postlaw_audit.search.open_span import OpenSpan
from postlaw_audit.search.spans import RowsGone, Run, Span, Spans, joinable
from postlaw_audit.search.terms import terms_of
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.errors import Unavailable
from postlaw_common.foreground import step_aside
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger

log = get_logger("audit.search")

ROWS_A_SPAN = 200_000
EVERY_S = 0.5
CALM = 20  # entries in that time: more are an import, or a campaign, which may have the processor for itself
CALM_LOOKS = 4  # one behind the other, since an import's batches come a second apart
LATEST_S = 60.0  # with MOST_BEHIND: whoever asks then waits a few seconds
MOST_BEHIND = 100_000  # entries
AT_ONCE = 32  # entries between two steps aside


class Indexer:
    """`indexed`: entries below it are found, also by those who ask while more is read. `runs` are of whole spans, in the log's order;
    `newest` is what follows them."""

    def __init__(self, reader: LogReader, spans: Spans, *, rows_a_span: int = ROWS_A_SPAN) -> None:
        self._reader = reader
        self.store = spans
        self._rows_a_span = rows_a_span
        self._following = asyncio.Lock()
        self._damaged = -1
        self._begin(0, [])

    def _begin(self, generation: int, runs: list[Run]) -> None:
        self.generation = generation
        self.runs = runs
        self.indexed = runs[-1].spans[-1].end if runs else 0
        self.newest = OpenSpan(self.indexed)
        self._joined = Joined()

    @property
    def spans(self) -> list[Span]:
        return [span for run in self.runs for span in run.spans]

    async def run(self) -> None:
        """Until cancelled. Whoever asks follows the log first, so that nobody needs what is put off here."""
        size, calm, latest = 0, 0, time.monotonic()
        while True:
            try:
                checkpoint, _ = await self._reader.checkpoint()
                calm = calm + 1 if checkpoint.size - size <= CALM else 0
                size = checkpoint.size
                if calm >= CALM_LOOKS or size - self.indexed > MOST_BEHIND or time.monotonic() - latest > LATEST_S:
                    await self.follow()
                    await self.join()
                    latest = time.monotonic()
            except (BlobsUnavailable, StoreUnavailable, Unavailable) as away:
                log.debug("search_waits", reason=str(away))
            await asyncio.sleep(EVERY_S)

    async def follow(self) -> None:
        """Once up to the newest checkpoint. Raises Unavailable while there is none."""
        async with self._following:
            await self._follow()

    async def _follow(self) -> None:
        generation = await self.store.generation()
        if generation != self.generation:
            self._begin(generation, await self.store.all(generation))
        checkpoint, _ = await self._reader.checkpoint()
        while self.indexed < checkpoint.size:
            number = self.indexed // WIDTH
            entries = await self._reader.bundle(number, checkpoint.size, once=True)
            for index in range(self.indexed, number * WIDTH + len(entries)):
                event = self._joined.take(index, entries[index - number * WIDTH])
                if event is not None:
                    self._add(event)
                self.indexed = index + 1
                if self.newest.enough(self.indexed, self._rows_a_span) and not self._joined.pending:
                    await self._close()
                if not index % AT_ONCE:
                    await step_aside()

    def _add(self, event: Event) -> None:
        shared, own = terms_of(event.entry, about(event.entry.type, event.data))
        self.newest.add(event.index, shared, own, event.entry.time_us)

    async def _close(self) -> None:
        span = self.newest.span(self.indexed)
        await self.store.add(self.generation, span, self.newest.rows_by_bucket())
        self._begin(self.generation, [*self.runs, Run(0, (span,))])

    async def join(self) -> None:
        """Makes larger runs until there are too few of each size. What is asked meanwhile is answered from what there was before."""
        while runs := joinable(self.runs):
            generation = self.generation
            try:
                made = await self.store.join(generation, runs)
            except RowsGone:
                await self.look_again()
                if joinable(self.runs) == runs:
                    if self._damaged != runs[0].start:
                        log.error("search_index_damaged", start=runs[0].start, todo="postlaw audit index rebuild")
                    self._damaged = runs[0].start
                    return
                continue
            if generation == self.generation and joinable(self.runs) == runs:
                at = self.runs.index(runs[0])
                self.runs = [*self.runs[:at], made, *self.runs[at + len(runs) :]]
            await self.store.forget(generation, runs)

    async def look_again(self) -> None:
        """For the runs that other processes have made of ours since."""
        async with self._following:
            runs = await self.store.all(self.generation)
            if runs and runs[-1].spans[-1].end != self.newest.start:
                self._begin(self.generation, runs)  # they have gone on further than this one
            elif runs:
                self.runs = runs
