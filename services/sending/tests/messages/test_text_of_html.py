"""The text that stands beside a page that came without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_sending.messages.templates import Templates
from postlaw_sending.messages.text_of_html import text_of, text_or_made


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<html><head><title>T</title><style>p {}</style></head><body><h1>Hello</h1>\n<p>a  b\nc</p></body></html>", "Hello\n\na b c"),
        ('<p>See <a href="https://a.example/x">our page</a>.</p>', "See our page (https://a.example/x)."),
        ('<a href="https://a.example">https://a.example</a> <a href="mailto:a@b.example">a@b.example</a>', "https://a.example a@b.example"),
        ('<a href="https://a.example"><img src="b.png" alt="Our logo"></a>', "Our logo (https://a.example)"),
        ("<ul><li>one</li><li>two &amp; three</li></ul>", "- one\n\n- two & three"),
        ("<table><tr><td>Sum</td><td>5&nbsp;€</td></tr></table>", "Sum 5\N{NO-BREAK SPACE}€"),
        ("one<br>two<script>three()</script>", "one\ntwo"),
        ("<p>{% if name %}Dear {{ name }}{% endif %}</p>", "{% if name %}Dear {{ name }}{% endif %}"),
        ("<p>{{ '<b>' }}</p>", "{{ '<b>' }}"),
        ('<a href="{{ unsubscribe_url }}">Stop</a>', "Stop ({{ unsubscribe_url }})"),
        ("", ""),
    ],
)
def test_a_page_has_a_text(html: str, text: str) -> None:
    assert text_of(html) == text


def test_a_text_that_is_given_stays() -> None:
    assert (text_or_made("mine", "<p>x</p>"), text_or_made(" ", "<p>x</p>")) == ("mine", "x")


@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<a href='x'>", "</a>", "<li>", "<", ">", "&", "a", " ", "{{ name }}", "\ue0007\ue001", "<!--"])
    )
)
def test_whatever_the_page_its_text_is_a_template_that_renders(pieces: list[str]) -> None:
    text = text_of("".join(pieces))
    assert not Templates("s", text or "x", "").wrong
