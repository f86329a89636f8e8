"""Names made of bytes sort as the bytes do, and lead back to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.ordered_text import to_bytes, to_text

raw = st.integers(0, 16).flatmap(lambda threes: st.binary(min_size=3 * threes, max_size=3 * threes))


@given(raw, raw)
def test_texts_sort_as_the_bytes_do(one: bytes, other: bytes) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


@given(raw)
def test_a_text_leads_back_to_its_bytes(one: bytes) -> None:
    assert to_bytes(to_text(one)) == one


@given(raw)
def test_a_text_holds_nothing_that_parts_names(one: bytes) -> None:
    assert all(character.isalnum() or character in "-_" for character in to_text(one))


@pytest.mark.parametrize("text", ["abc", "abcde", "ab+/", "ab==", "äbcd", "abc\n"])
def test_a_text_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        to_bytes(text)


def test_bytes_that_would_need_filling_are_refused() -> None:
    with pytest.raises(ValueError):
        to_text(b"abcd")
