"""The newest entries, which no span in the store has yet: what they are found by, in memory, until there are enough for a span."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

from postlaw_audit.search.postings import MOST, all_of, bits_of, up_to
from postlaw_audit.search.rows import BUCKET_BITS, Row, bucket_of, in_order, row_of
from postlaw_audit.search.spans import BLOCK, TIMES, Span
from postlaw_audit.search.terms import TERM

PAIR = TERM + 2  # bytes: a term, and the entry's distance from the span's beginning
_LOOKED_AT_ONCE = 4096  # entries: what is common fills its page from the newest of them
_LARGEST_EVENT = 4096  # entries


class OpenSpan:
    """Entries from `start` on. What many of them share is kept by term, the rest as rows: a term each would take ten times as much."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.rows = 0
        self._shared = defaultdict[bytes, "array[int]"](lambda: array("H"))
        self._rows = [bytearray() for _ in range(1 << BUCKET_BITS)]
        self._first_us, self._last_us = list[int](), list[int]()  # of each block, when the bus took its events

    def add(self, index: int, shared: Iterable[bytes], own: Collection[bytes], time_us: int) -> None:
        """Of an event's last entry: the terms that many entries have, and those that few have."""
        distance = index - self.start
        for term in shared:
            self._shared[term].append(distance)
        end = distance.to_bytes(2, "big")
        rows = self._rows
        for term in own:
            rows[term[0] >> 1] += term + end  # bucket_of(term, 0), in half the time
        self.rows += len(own)
        if distance // BLOCK < len(self._first_us):
            if time_us < self._first_us[-1]:
                self._first_us[-1] = time_us
            elif time_us > self._last_us[-1]:
                self._last_us[-1] = time_us
        while len(self._first_us) <= distance // BLOCK:
            self._first_us.append(time_us)
            self._last_us.append(time_us)

    def enough(self, end: int, rows: int) -> bool:
        """Whether entries up to `end` are a span. The next event must have room whatever its size."""
        return self.rows >= rows or end - self.start >= MOST - _LARGEST_EVENT

    def span(self, end: int) -> Span:
        return Span(self.start, end, b"".join(map(TIMES.pack, self._first_us, self._last_us)))

    def found(self, conditions: Sequence[Sequence[bytes]], end: int) -> Generator[int]:
        """Those below `end` that have one term of each condition, the newest first, in pieces."""
        own = {term: bits_of(_distances(self._rows[bucket_of(term, 0)], term)) for condition in conditions for term in condition}
        for above in range(end - self.start, 0, -_LOOKED_AT_ONCE):
            below = max(0, above - _LOOKED_AT_ONCE)
            piece = up_to(above) ^ up_to(below)

            def having(term: bytes, below: int = below, above: int = above, piece: int = piece) -> int:
                shared = self._shared.get(term, ())
                return own[term] & piece | bits_of(shared[bisect_left(shared, below) : bisect_left(shared, above)])

            yield all_of(conditions, having)

    def rows_by_bucket(self) -> Generator[Row]:
        shared = defaultdict[int, list[bytes]](list)
        for term in self._shared:
            shared[bucket_of(term, 0)].append(term)
        for number, rows in enumerate(self._rows):
            yield _row(bytes(rows), {term: self._shared[term] for term in shared[number]})


def _row(rows: bytes, shared: Mapping[bytes, array[int]]) -> Row:
    having = defaultdict[bytes, bytes](bytes)
    for at in range(0, len(rows), PAIR):
        having[rows[at : at + TERM]] += rows[at + TERM : at + PAIR]
    for term, distances in shared.items():
        packed = struct.pack(f">{len(distances)}H", *distances)
        having[term] = in_order(having[term] + packed) if term in having else packed
    return row_of(having)


def _distances(rows: bytes | bytearray, term: bytes) -> list[int]:
    found: list[int] = []
    at = rows.find(term)
    while at >= 0:
        if at % PAIR == 0:
            found.append(int.from_bytes(rows[at + TERM : at + PAIR], "big"))
            at += PAIR - 1
        at = rows.find(term, at + 1)
    return found
