"""The projection as it is kept: the log in spans of up to 65,536 entries, each span's terms in 128 buckets, a document a bucket (rows.py).

No document an entry or a person, which nothing could keep up with. Eight spans are made into a run, whose documents hold a finer bucket
of all of them, and eight runs into one of the next size: so what is asked of a term reads a document a run, of which there are few however
long the log. What a span holds follows from the log alone, and a run from its spans, so whoever builds them builds the same; a span
and a run stand only when their documents do. The documents that a run was made of are deleted after it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postlaw_audit.search.postings import all_of, up_to
from postlaw_audit.search.rows import BUCKET_BITS, FINER, FINER_BITS, Row, bucket_of, document_of, rows_in
from postlaw_common.foreground import step_aside
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, VersionConflict

SPANS = CollectionSpec("search_spans", range_parts=1, rarely=True)
ROWS = CollectionSpec("search_rows", range_parts=1, rarely=True, packed=True)
FORMAT = 3  # raised with whatever changes the terms, or how they are kept: the projection is then made anew by itself
BLOCK = 64  # entries whose times are told together
LARGEST = 3  # a run's level: 512 spans, in all buckets that a term's first two bytes tell apart
_CURRENT = "current/"
_DELETED_AT_ONCE = 32
_ALL, _NONE, TIMES = b"\xff" * (BLOCK // 8), bytes(BLOCK // 8), struct.Struct(">QQ")


class RowsGone(Exception):
    """A run's documents are not there: another process has made a larger one of it, and whoever asks looks at what there is again."""


@dataclass(frozen=True, slots=True)
class Span:
    """Entries [start, end) of the log. `times`: of each 64 of them, when the bus took the first and the last, 8 bytes each."""

    start: int
    end: int
    times: bytes

    def between(self, from_us: int, to_us: int) -> int:
        """The entries, by their distance, that the bus may have taken from then on and before then (0: no end)."""
        if not (from_us or to_us):
            return up_to(self.end - self.start)
        blocks = (last_us >= from_us and (not to_us or first_us < to_us) for first_us, last_us in TIMES.iter_unpack(self.times))
        return int.from_bytes(b"".join(_ALL if overlaps else _NONE for overlaps in blocks), "little")


@dataclass(frozen=True, slots=True)
class Run:
    """8 to the power of `level` spans, one behind the other, whose terms are in the same documents."""

    level: int
    spans: tuple[Span, ...]

    @property
    def start(self) -> int:
        return self.spans[0].start


def runs_of(spans: Sequence[Span], levels: dict[int, int]) -> list[Run]:
    """Of all spans, in the log's order. `levels`: by where it starts, that of the largest run which stands."""
    runs: list[Run] = []
    at = 0
    while at < len(spans):
        level = levels.get(spans[at].start, 0)
        runs.append(Run(level, tuple(spans[at : at + FINER**level])))
        at += FINER**level
    return runs


def joinable(runs: Sequence[Run]) -> Sequence[Run]:
    """The first eight of a level, of which one of the next is made; none where no level has so many."""
    for level in range(LARGEST):
        some = [run for run in runs if run.level == level][:FINER]
        if len(some) == FINER:
            return some
    return ()


class Spans:
    """`spans`, `rows`: the collections of those names."""

    def __init__(self, spans: Callable[[], Collection], rows: Callable[[], Collection]) -> None:
        self._spans = spans
        self._rows = rows

    async def generation(self) -> int:
        """Which making of the projection counts; each has documents of its own."""
        while True:
            current = await self._spans().get(_CURRENT)
            if current is not None and current["format"] == FORMAT:
                return current["generation"]
            await self._follow_on(current["generation"] if current else 0)

    async def drop(self) -> None:
        """From now on it is made anew. What there was is deleted."""
        await self._follow_on(await self.generation())

    async def _follow_on(self, before: int) -> None:
        await self._raise(before)
        for collection in (self._spans(), self._rows()):
            async for page in collection.under(_prefix(before)):
                await _delete(collection, [document["_id"] for document in page])

    async def all(self, generation: int) -> list[Run]:
        """In the log's order, each beginning where the one before ends."""
        spans: list[Span] = []
        levels: dict[int, int] = {}
        async for page in self._spans().under(_prefix(generation)):
            for one in page:
                if one["level"]:
                    levels[one["start"]] = max(one["level"], levels.get(one["start"], 0))
                else:
                    spans.append(Span(one["start"], one["end"], one["times"]))
        return runs_of(spans, levels)

    async def add(self, generation: int, span: Span, buckets: Iterable[Row]) -> None:
        """Adding it again changes nothing."""
        documents: list[Document] = []
        for bucket, row in enumerate(buckets):
            documents.append({"_id": _row_id(generation, 0, span.start, bucket), **document_of([row])})
            await step_aside()
        await self._rows().insert_many(documents)
        await self._stands(generation, 0, span.start, end=span.end, times=span.times)

    async def join(self, generation: int, runs: Sequence[Run]) -> Run:
        """The run that these eight make, which stands when this returns; `forget` then deletes theirs. Raises RowsGone where one of them is
        no more."""
        level, start = runs[0].level, runs[0].start
        for first in range(0, 1 << _bits(level), FINER):
            buckets = range(first, first + FINER)
            ids = {(run.start, bucket): _row_id(generation, level, run.start, bucket) for run in runs for bucket in buckets}
            found = await self._rows().get_many(list(ids.values()))
            made: list[Document] = []
            for bucket in buckets:
                rows = [row for run in runs for row in _rows_of(found, ids[run.start, bucket])]
                for place, some in enumerate(zip(*(row.finer(level + 1) for row in rows), strict=True)):
                    made.append({"_id": _row_id(generation, level + 1, start, bucket * FINER + place), **document_of(some)})
                await step_aside()
            await self._rows().insert_many(made)
        await self._stands(generation, level + 1, start)
        return Run(level + 1, tuple(span for run in runs for span in run.spans))

    async def forget(self, generation: int, runs: Sequence[Run]) -> None:
        """Deletes the documents of runs that a larger one was made of."""
        for run in runs:
            await _delete(self._rows(), [_row_id(generation, run.level, run.start, bucket) for bucket in range(1 << _bits(run.level))])

    async def _stands(self, generation: int, level: int, start: int, **more: int | bytes) -> None:
        await self._spans().insert_many([{"_id": f"{_prefix(generation)}{start:015d}.{level}", "start": start, "level": level, **more}])

    async def found(self, generation: int, runs: Sequence[Run], conditions: Sequence[Sequence[bytes]]) -> dict[int, int]:
        """By span's start, the entries that have one term of each condition. Raises RowsGone."""
        ids = {
            (run.start, term): _row_id(generation, run.level, run.start, bucket_of(term, run.level))
            for run in runs
            for condition in conditions
            for term in condition
        }
        documents = await self._rows().get_many(sorted({*ids.values()}))
        found: dict[int, int] = {}
        for run in runs:
            rows = {term: _rows_of(documents, id) for (start, term), id in ids.items() if start == run.start}
            for span in run.spans:
                each = {term: next(some) for term, some in rows.items()}
                found[span.start] = all_of(conditions, lambda term, each=each: each[term].having(term))
        return found

    async def _raise(self, before: int) -> None:
        current = await self._spans().get(_CURRENT, linearizable=True)
        try:
            if current is None:
                await self._spans().insert({"_id": _CURRENT, "format": FORMAT, "generation": 1})
            elif current["generation"] == before:
                await self._spans().replace(current | {"format": FORMAT, "generation": before + 1}, version=current["v"])
        except (AlreadyExists, VersionConflict):
            return  # another process has


async def _delete(collection: Collection, ids: Sequence[str]) -> None:
    for at in range(0, len(ids), _DELETED_AT_ONCE):
        await asyncio.gather(*map(collection.delete, ids[at : at + _DELETED_AT_ONCE]))
        await step_aside()


def _rows_of(documents: dict[str, Document], id: str) -> Iterator[Row]:
    if id not in documents:
        raise RowsGone(id)
    return rows_in(documents[id])


def _bits(level: int) -> int:
    return BUCKET_BITS + level * FINER_BITS


def _prefix(generation: int) -> str:
    return f"{generation:06d}/"


def _row_id(generation: int, level: int, start: int, bucket: int) -> str:
    return f"{_prefix(generation)}{level}.{start:015d}.{bucket:05d}"
