"""Identifiers: a prefix that names the kind, and a UUIDv7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import time
from functools import lru_cache

from postlaw_common.entropy import pieces_of

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in lower case
# Python's own digits of base 32; whatever is none of ours becomes what int() refuses.
_AS_PYTHON = dict.fromkeys(range(128), "!") | dict(zip(map(ord, _ALPHABET), "0123456789abcdefghijklmnopqrstuv", strict=True))
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # ten bits at a time: a bulk makes ids by the thousand
_MARKS = 0x7 << 76 | 0x2 << 62  # version and variant, in the 80 bits after the milliseconds
_FREE = (1 << 80) - 1 & ~(0xF << 76 | 0x3 << 62)
_random = pieces_of(10)


def _after_the_time() -> int:
    """80 bits: version 7, the variant, and 74 random bits."""
    return int.from_bytes(_random(), "big") & _FREE | _MARKS


def uuid7(time_ms: int | None = None) -> bytes:
    """16 bytes: 48 bits of milliseconds, version 7, 74 random bits."""
    ms = time.time_ns() // 1_000_000 if time_ms is None else time_ms
    return (ms << 80 | _after_the_time()).to_bytes(16, "big")


@lru_cache(1)
def _moment(ms: int) -> str:
    """The first ten characters, alike for all ids of a millisecond."""
    return "".join([_PAIRS[ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)])


def new_id(prefix: str) -> str:
    """For example `evt_06d3…`: the prefix and 26 characters that sort by time of making."""
    n, pairs = _after_the_time(), _PAIRS
    return (
        f"{prefix}_{_moment(time.time_ns() // 1_000_000)}{pairs[n >> 70]}{pairs[n >> 60 & 1023]}{pairs[n >> 50 & 1023]}"
        f"{pairs[n >> 40 & 1023]}{pairs[n >> 30 & 1023]}{pairs[n >> 20 & 1023]}{pairs[n >> 10 & 1023]}{pairs[n & 1023]}"
    )


def time_ms_of(id: str) -> int:
    """The millisecond in which `new_id` made this id. ValueError where it is not one of ours."""
    prefix, _, text = id.partition("_")
    if not prefix or len(text) != 26:
        raise ValueError("not an identifier of ours")
    try:
        return int(text.translate(_AS_PYTHON), 32) >> 80
    except ValueError:
        raise ValueError("not an identifier of ours") from None
