"""Identifiers: a prefix that names the kind, and a UUIDv7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import time

from postlaw_common.entropy import pieces_of

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in lower case
# Python's own digits of base 32; whatever is none of ours becomes what int() refuses.
_AS_PYTHON = dict.fromkeys(range(128), "!") | dict(zip(map(ord, _ALPHABET), "0123456789abcdefghijklmnopqrstuv", strict=True))
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # ten bits at a time: a bulk makes ids by the thousand
_SHIFTS = tuple(range(120, -1, -10))
_random = pieces_of(10)


def uuid7(time_ms: int | None = None) -> bytes:
    """16 bytes: 48 bits of milliseconds, version 7, 74 random bits."""
    ms = time.time_ns() // 1_000_000 if time_ms is None else time_ms
    random = bytearray(_random())
    random[0] = 0x70 | random[0] & 0x0F
    random[2] = 0x80 | random[2] & 0x3F
    return ms.to_bytes(6, "big") + bytes(random)


def new_id(prefix: str) -> str:
    """For example `evt_06d3…`: the prefix and 26 characters that sort by time of making."""
    number = int.from_bytes(uuid7(), "big")
    return prefix + "_" + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def time_ms_of(id: str) -> int:
    """The millisecond in which `new_id` made this id. ValueError where it is not one of ours."""
    prefix, _, text = id.partition("_")
    if not prefix or len(text) != 26:
        raise ValueError("not an identifier of ours")
    try:
        return int(text.translate(_AS_PYTHON), 32) >> 80
    except ValueError:
        raise ValueError("not an identifier of ours") from None
