"""Identifiers: UUIDv7 (RFC 9562 §5.7) in Crockford's base 32, sorted by the time of their making."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest

from postlaw_common.ids import new_id, time_ms_of, uuid7

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def uuid_in(id: str) -> UUID:
    number = 0
    for digit in id.partition("_")[2]:
        number = number * 32 + _DIGITS.index(digit)
    return UUID(int=number)


def test_an_id_is_a_uuid_of_version_seven_and_tells_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id("evt") for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    for id in ids:
        found = uuid_in(id)
        assert (found.version, found.variant) == (7, RFC_4122)
        assert before <= time_ms_of(id) == found.int >> 80 <= after
    assert len(set(ids)) == 2000
    assert [time_ms_of(id) for id in sorted(ids)] == sorted(time_ms_of(id) for id in ids)


def test_every_random_bit_is_used() -> None:
    made = [int.from_bytes(uuid7(0), "big") for _ in range(200)]
    ones, zeros = 0, 0
    for number in made:
        ones |= number
        zeros |= ~number
    assert (ones & zeros & (1 << 80) - 1).bit_count() == 74
    assert UUID(int=made[0]).version == 7


@pytest.mark.parametrize("foreign", ["", "evt", "evt_", "_" + "0" * 26, "evt_" + "u" * 26, "evt_" + "0" * 25])
def test_what_is_no_id_of_ours_is_told(foreign: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        time_ms_of(foreign)
