"""The projection as it is kept: the log in spans of up to 65,536 entries, each span's terms in 128 buckets, a document a bucket.

No document an entry or a person, which nothing could keep up with. Of a term a bucket has the distances of its entries from the
span's beginning, or a bitmap where that is shorter. What a span holds follows from the log alone, so whoever builds it builds the
same; its document stands only when its buckets do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from postlaw_audit.search.postings import BITMAP, all_of, bits_of, up_to
from postlaw_audit.search.terms import TERM
from postlaw_common.foreground import step_aside
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, VersionConflict

SPANS = CollectionSpec("search_spans", range_parts=1, rarely=True)
ROWS = CollectionSpec("search_rows", range_parts=1, rarely=True, packed=True)
FORMAT = 2  # raised with whatever changes the terms, or how they are kept: the projection is then made anew by itself
BUCKETS = 128  # by a term's first seven bits
BLOCK = 64  # entries whose times are told together
_CURRENT = "current/"
_ALL, _NONE, TIMES = b"\xff" * (BLOCK // 8), bytes(BLOCK // 8), struct.Struct(">QQ")


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
                for document in page:
                    await collection.delete(document["_id"])

    async def all(self, generation: int) -> list[Span]:
        """In the log's order, each beginning where the one before ends."""
        found: list[Span] = []
        async for page in self._spans().under(_prefix(generation)):
            found += [Span(one["start"], one["end"], one["times"]) for one in page]
        return found

    async def add(self, generation: int, span: Span, buckets: Iterable[Document]) -> None:
        """Adding it again changes nothing."""
        documents: list[Document] = []
        for number, bucket in enumerate(buckets):
            documents.append({"_id": _row_id(generation, span.start, number), **bucket})
            await step_aside()
        await self._rows().insert_many(documents)
        marker = {"_id": f"{_prefix(generation)}{span.start:015d}", "start": span.start, "end": span.end, "times": span.times}
        await self._spans().insert_many([marker])

    async def found(self, generation: int, spans: Sequence[Span], conditions: Sequence[Sequence[bytes]]) -> dict[int, int]:
        """By span's start, the entries that have one term of each condition."""
        wanted = {term for condition in conditions for term in condition}
        ids = {_row_id(generation, span.start, bucket_of(term)) for span in spans for term in wanted}
        documents = await self._rows().get_many(sorted(ids))

        def of(span: Span) -> int:
            return all_of(conditions, lambda term: _having(term, documents.get(_row_id(generation, span.start, bucket_of(term)))))

        return {span.start: of(span) for span in spans}

    async def _raise(self, before: int) -> None:
        current = await self._spans().get(_CURRENT, linearizable=True)
        try:
            if current is None:
                await self._spans().insert({"_id": _CURRENT, "format": FORMAT, "generation": 1})
            elif current["generation"] == before:
                await self._spans().replace(current | {"format": FORMAT, "generation": before + 1}, version=current["v"])
        except (AlreadyExists, VersionConflict):
            return  # another process has


def _having(term: bytes, bucket: Document | None) -> int:
    """A span's entries with this term. `bucket`: the document that tells of it, where there is one."""
    if bucket is None:
        return 0
    found = 0
    for place in _places(term, bucket["terms"]):
        *before, count = struct.unpack_from(f">{place + 1}H", bucket["counts"])
        found |= bits_of(struct.unpack_from(f">{count}H", bucket["distances"], 2 * sum(before)))
    for place in _places(term, bucket["common"]):
        found |= int.from_bytes(bucket["bitmaps"][place * BITMAP : (place + 1) * BITMAP], "little")
    return found


def _places(term: bytes, terms: bytes) -> Generator[int]:
    at = terms.find(term)
    while at >= 0:
        if at % TERM == 0:
            yield at // TERM
        at = terms.find(term, at + 1)


def bucket_of(term: bytes) -> int:
    return term[0] >> 1


def _prefix(generation: int) -> str:
    return f"{generation:06d}/"


def _row_id(generation: int, start: int, bucket: int) -> str:
    return f"{_prefix(generation)}{start:015d}.{bucket:03d}"
