"""Which subtrees a proof consists of (RFC 6962 §2.1.1, §2.1.2), as ranges of leaves."""

from __future__ import annotations

Range = tuple[int, int]  # leaves [start, end)


def split(start: int, end: int) -> int:
    """Where the tree over [start, end) divides: the largest power of two below its size."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The siblings on the way from the leaf to the root, leaf first."""
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = split(start, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The subtrees that show that the first `first` of `second` leaves are a prefix."""
    ranges: list[Range] = []
    start, end, known = 0, second, True
    while first != end:
        middle = split(start, end)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, known = middle, False
    if not known:
        ranges.append((start, end))
    return ranges[::-1]


def perfect(start: int, end: int) -> list[Range]:
    """[start, end) as perfect, aligned subtrees, left to right; their fold from the right is its root."""
    ranges: list[Range] = []
    while start < end:
        width = 1 << (end - start).bit_length() - 1
        ranges.append((start, start + width))
        start += width
    return ranges
