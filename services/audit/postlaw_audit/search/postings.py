"""Sets of a span's entries, as the bits of an integer: bit 0 is the span's first entry. So whatever is asked of a span takes microseconds
a term, however many entries have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import and_, or_

MOST = 1 << 16  # entries of a span: a distance takes two bytes
BITMAP = MOST // 8  # bytes
SPARSE = BITMAP // 2  # entries: of more, the bitmap is the shorter form


def bits_of(distances: Iterable[int]) -> int:
    marks = bytearray(BITMAP)
    for distance in distances:
        marks[distance >> 3] |= 1 << (distance & 7)
    return int.from_bytes(marks, "little")


def up_to(end: int) -> int:
    """All entries of a smaller distance."""
    return (1 << max(0, end)) - 1


def newest_first(bits: int) -> Iterator[int]:
    """The distances, largest first."""
    while bits:
        distance = bits.bit_length() - 1
        yield distance
        bits ^= 1 << distance


def all_of(conditions: Sequence[Sequence[bytes]], having: Callable[[bytes], int]) -> int:
    """What has one term of each condition. `having`: the entries that have a term."""
    return reduce(and_, (reduce(or_, map(having, condition)) for condition in conditions))
