"""Where answers go (RFC 5322 §3.6.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise

from .compiled import Person, campaign, parsed


@promise("M1")
def test_answers_go_where_the_sender_says_or_to_the_address_they_send_from() -> None:
    assert parsed(campaign(reply_to="hello@blumen.example").render(Person()))["Reply-To"] == "hello@blumen.example"
    assert parsed(campaign().render(Person()))["Reply-To"] is None


@given(st.text(max_size=40).map(lambda text: f"a{text}@blumen.example"))
def test_an_address_for_answers_is_one_header_or_refused(address: str) -> None:
    try:
        message = campaign(reply_to=address).render(Person())
    except Invalid as refused:
        assert [wrong.field for wrong in refused.fields] == ["sender.reply_to"]
        return
    assert parsed(message).keys() == parsed(campaign(reply_to="a@blumen.example").render(Person())).keys()
    assert message.partition(b"\r\n\r\n")[0].count(b"Reply-To: <a") == 1


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: c@d.example", "größe@b.example", "nobody", "a@b.example, c@d.example", "@"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        campaign(reply_to=address)
    assert [wrong.field for wrong in refused.value.fields] == ["sender.reply_to"]
