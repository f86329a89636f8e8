"""The projection as it is kept: the log in spans of some 200,000 rows, each span's rows in 128 buckets by term, a document a bucket.

No document an entry or a person, which nothing could keep up with: a row is a term and an entry's distance from the span's beginning.
What a span holds follows from the log alone, so whoever builds it builds the same; its document stands only when its buckets do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from postlaw_audit.search.terms import TERM
from postlaw_common.foreground import step_aside
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, VersionConflict

SPANS = CollectionSpec("search_spans", range_parts=1, rarely=True)
ROWS = CollectionSpec("search_rows", range_parts=1, rarely=True, packed=True)
FORMAT = 1  # raised with whatever changes the terms: the projection is then made anew by itself
BUCKETS = 128
ROW = TERM + 4  # bytes: a term, and the entry's distance from the span's beginning
_CURRENT = "current/"
_AT_ONCE = 2000  # rows between two steps aside


@dataclass(frozen=True, slots=True)
class Span:
    """Entries [start, end) of the log, which the bus took from `first_us` to `last_us`."""

    start: int
    end: int
    first_us: int
    last_us: int


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
            await self._raise(current["generation"] if current else 0)

    async def drop(self) -> None:
        """From now on it is made anew. What there was is deleted."""
        before = await self.generation()
        await self._raise(before)
        for collection in (self._spans(), self._rows()):
            async for page in collection.under(_prefix(before)):
                for document in page:
                    await collection.delete(document["_id"])

    async def all(self, generation: int) -> list[Span]:
        """In the log's order, each beginning where the one before ends."""
        found: list[Span] = []
        async for page in self._spans().under(_prefix(generation)):
            found += [Span(one["start"], one["end"], one["first_us"], one["last_us"]) for one in page]
        return found

    async def add(self, generation: int, span: Span, rows: bytes) -> None:
        """`rows`: of all its entries, in any order. Adding it again changes nothing."""
        buckets = [bytearray() for _ in range(BUCKETS)]
        for at in range(0, len(rows), ROW):
            row = rows[at : at + ROW]
            buckets[bucket_of(row)] += row
            if not at % (_AT_ONCE * ROW):
                await step_aside()
        documents = [{"_id": _row_id(generation, span.start, n), "rows": bytes(bucket)} for n, bucket in enumerate(buckets)]
        await self._rows().insert_many(documents)
        marker = {"_id": f"{_prefix(generation)}{span.start:015d}", "start": span.start, "end": span.end}
        await self._spans().insert_many([marker | {"first_us": span.first_us, "last_us": span.last_us}])

    async def found(self, generation: int, spans: Sequence[Span], conditions: Sequence[Sequence[bytes]]) -> dict[int, set[int]]:
        """By span's start, the entries that have one term of each condition."""
        wanted = {term for condition in conditions for term in condition}
        ids = {_row_id(generation, span.start, bucket_of(term)) for span in spans for term in wanted}
        documents = await self._rows().get_many(sorted(ids))
        found: dict[int, set[int]] = {}
        for span in spans:

            def having(term: bytes, start: int = span.start) -> Iterable[int]:
                document = documents.get(_row_id(generation, start, bucket_of(term)))
                return distances(bytes(document["rows"]), term) if document else ()

            found[span.start] = {span.start + distance for distance in all_of(conditions, having)}
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


def all_of(conditions: Sequence[Sequence[bytes]], having: Callable[[bytes], Iterable[int]]) -> set[int]:
    """What has one term of each condition."""
    sets = [set[int]().union(*(having(term) for term in condition)) for condition in conditions]
    return set[int].intersection(*sets)


def distances(rows: bytes, term: bytes) -> list[int]:
    """Of the entries with this term, in any rows."""
    found: list[int] = []
    at = rows.find(term)
    while at >= 0:
        if at % ROW == 0:
            found.append(int.from_bytes(rows[at + TERM : at + ROW], "big"))
            at += ROW - 1
        at = rows.find(term, at + 1)
    return found


def bucket_of(term: bytes) -> int:
    return term[0] * BUCKETS >> 8


def _prefix(generation: int) -> str:
    return f"{generation:06d}/"


def _row_id(generation: int, start: int, bucket: int) -> str:
    return f"{_prefix(generation)}{start:015d}.{bucket:03d}"
