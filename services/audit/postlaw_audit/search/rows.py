"""What a document of the projection holds: of one bucket's terms, for each of its spans, the entries that have them.

Terms stand in order, so a bucket is made into finer ones by cutting it, however many terms it has.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Generator, Iterable, Mapping
from typing import NamedTuple

from postlaw_audit.search.postings import BITMAP, SPARSE, bits_of
from postlaw_audit.search.terms import TERM
from postlaw_common.store import Document

BUCKET_BITS, FINER_BITS = 7, 3  # of a term's first two bytes: a span's bucket, and what each size above adds
FINER = 1 << FINER_BITS
_LENGTHS = struct.Struct(">III")


class Row(NamedTuple):
    """One span's share of a bucket. `terms` in order, with how many entries each has (2 bytes) and their distances from the span's
    beginning (2 bytes each); `common`: terms whose bitmap is the shorter form, and the bitmaps."""

    terms: bytes
    counts: bytes
    distances: bytes
    common: bytes
    bitmaps: bytes

    def having(self, term: bytes) -> int:
        """The span's entries with this term."""
        found = 0
        if (place := _place(term, self.terms)) is not None:
            *before, count = struct.unpack_from(f">{place + 1}H", self.counts)
            found = bits_of(struct.unpack_from(f">{count}H", self.distances, 2 * sum(before)))
        elif (place := _place(term, self.common)) is not None:
            found = int.from_bytes(self.bitmaps[place * BITMAP : (place + 1) * BITMAP], "little")
        return found

    def finer(self, level: int) -> list[Row]:
        """The buckets of that level which this one of the level below is made into, in their order."""
        counts = _numbers(self.counts)
        made: list[Row] = []
        at, began = 0, 0
        first = bucket_of(self._any(), level) // FINER * FINER if self.terms or self.common else 0
        for bucket in range(first, first + FINER):
            end = _first_of(bucket + 1, level, self.terms)
            ended = began + sum(counts[at:end])
            low, high = _first_of(bucket, level, self.common), _first_of(bucket + 1, level, self.common)
            made.append(
                Row(
                    self.terms[at * TERM : end * TERM],
                    self.counts[2 * at : 2 * end],
                    self.distances[2 * began : 2 * ended],
                    self.common[low * TERM : high * TERM],
                    self.bitmaps[low * BITMAP : high * BITMAP],
                )
            )
            at, began = end, ended
        return made

    def _any(self) -> bytes:
        return (self.terms or self.common)[:TERM]


def row_of(having: Mapping[bytes, bytes]) -> Row:
    """By term, the distances of the entries that have it, 2 bytes each, in order."""
    few = sorted(term for term, distances in having.items() if len(distances) <= 2 * SPARSE)
    many = sorted(term for term, distances in having.items() if len(distances) > 2 * SPARSE)
    return Row(
        b"".join(few),
        struct.pack(f">{len(few)}H", *(len(having[term]) // 2 for term in few)),
        b"".join([having[term] for term in few]),
        b"".join(many),
        b"".join([bits_of(_numbers(having[term])).to_bytes(BITMAP, "little") for term in many]),
    )


def in_order(distances: bytes) -> bytes:
    """Each once."""
    numbers = sorted({*_numbers(distances)})
    return struct.pack(f">{len(numbers)}H", *numbers)


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 2}H", packed)


def document_of(rows: Iterable[Row]) -> Document:
    rows = list(rows)
    lengths = (_LENGTHS.pack(len(row.terms), len(row.distances), len(row.common)) for row in rows)
    return {"lengths": b"".join(lengths)} | {name: b"".join([getattr(row, name) for row in rows]) for name in Row._fields}


def rows_in(document: Document) -> Generator[Row]:
    """In the order of their spans."""
    term = distance = common = 0
    for terms, distances, commons in _LENGTHS.iter_unpack(document["lengths"]):
        yield Row(
            document["terms"][term : term + terms],
            document["counts"][term * 2 // TERM : (term + terms) * 2 // TERM],
            document["distances"][distance : distance + distances],
            document["common"][common : common + commons],
            document["bitmaps"][common * BITMAP // TERM : (common + commons) * BITMAP // TERM],
        )
        term, distance, common = term + terms, distance + distances, common + commons


def bucket_of(term: bytes, level: int) -> int:
    return int.from_bytes(term[:2]) >> 16 - BUCKET_BITS - level * FINER_BITS


def _first_of(bucket: int, level: int, terms: bytes) -> int:
    """The place of the first term of this bucket, or of a later one."""
    return bisect_left(range(len(terms) // TERM), bucket, key=lambda place: bucket_of(terms[place * TERM : place * TERM + 2], level))


def _place(term: bytes, terms: bytes) -> int | None:
    at = terms.find(term)
    while at >= 0:
        if at % TERM == 0:
            return at // TERM
        at = terms.find(term, at + 1)
    return None
