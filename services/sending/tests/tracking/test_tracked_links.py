"""Which links of a page are led through us, what stands in a token, and what shows that a machine followed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_sending.tracking.machines import in_a_burst, machine
from postlaw_sending.tracking.rewriting import led, links_in, with_pixel
from postlaw_sending.tracking.tokens import Named, Tokens
from services.sending.tests.messages.compiled import ADDRESS_KEY, CAMPAIGN, OneKey

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def started() -> Tokens:
    tokens = Tokens(OneKey())
    asyncio.run(tokens.start())
    return tokens


TOKENS = started()


@pytest.mark.parametrize(
    ("page", "targets"),
    [
        ('<a href="https://a.example/x?y=1&amp;z=2">x</a>', ("https://a.example/x?y=1&z=2",)),
        ("<A class='{{ c }}' HREF = 'http://a.example'>x</A><area href=\"https://b.example\">", ("http://a.example", "https://b.example")),
        ('<a href="https://a.example">x</a><a href="https://a.example">y</a>', ("https://a.example",)),
        ('<a href="{{ unsubscribe_url }}">stop</a>', ()),
        ('<a href="https://a.example/{{ name }}">x</a>', ()),
        ("{% set x = '<a href=\"https://a.example\">' %}{{ x }}", ()),
        ('{% raw %}<a href="https://a.example">{{ x }}</a>{% endraw %}', ()),
        ('<a href="mailto:x@a.example">x</a><a href="javascript:alert(1)">x</a><a href="//a.example">x</a>', ()),
        ('<link href="https://a.example/style.css"><img src="https://a.example/i.png">', ()),
        ('<a href="https://a.example/pay">https://a.example/pay</a>', ()),
        ('<a href="https://a.example/%0d%0aSet-Cookie: x">x</a><a href="https://é.example">x</a>', ()),
    ],
)
def test_a_link_is_led_through_us_only_where_the_template_itself_names_its_target(page: str, targets: tuple[str, ...]) -> None:
    assert links_in([page]) == targets
    through = led(page, targets, lambda number: f"https://us.example/l/{number}")
    assert through.count("https://us.example/l/") == page.lower().count("<a") - page.count("style.css") if targets else through == page
    assert links_in([led(page, (), str)]) == targets


def test_the_pixel_stands_before_the_end_of_the_body() -> None:
    assert with_pixel("<body>x</BODY >\n", "u").startswith('<body>x<img src="u"')
    assert with_pixel("x", "u").startswith('x<img src="u"')


def test_a_token_says_what_was_put_into_it() -> None:
    token = TOKENS.of(CAMPAIGN, 1_800_000_000, ADDRESS_KEY)
    assert len(token) == 100
    assert TOKENS.read(token) == Named(CAMPAIGN, 1_800_000_000, ADDRESS_KEY)
    assert TOKENS.read(TOKENS.of(CAMPAIGN, 0)) == Named(CAMPAIGN, 0, b"")


@promise("M9")
@given(place=st.integers(0, 99), other=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ é"))
def test_no_token_can_be_changed_into_another(place: int, other: str) -> None:
    """RFC 7693 §2.9: its tag is keyed."""
    token = TOKENS.of(CAMPAIGN, 1_800_000_000, ADDRESS_KEY)
    changed = token[:place] + other + token[place + 1 :]
    assert changed == token or TOKENS.read(changed) is None
    assert TOKENS.read(token[:place]) is None


@pytest.mark.parametrize(
    ("agent", "head", "prefetch", "after_s", "kind", "why"),
    [
        (PERSON, False, False, 60, "click", ""),
        (PERSON, True, False, 60, "click", "head-request"),
        (PERSON, False, True, 60, "click", "prefetch"),
        (PERSON, False, False, 1, "click", "too-quick"),
        ("Barracuda Sentinel (EE)", False, False, 60, "click", "known-scanner"),
        ("", False, False, 60, "click", "known-scanner"),
        ("Mozilla/5.0 (via ggpht.com GoogleImageProxy)", False, False, 60, "open", "image-proxy"),
        ("Mozilla/5.0", False, False, 60, "open", "image-proxy"),
        ("Mozilla/5.0", False, False, 60, "click", ""),
    ],
)
def test_a_machine_is_known_by_evidence(agent: str, head: bool, prefetch: bool, after_s: float, kind: str, why: str) -> None:
    assert machine("open" if kind == "open" else "click", agent, head=head, prefetch=prefetch, after_s=after_s) == why


@dataclass
class Click:
    link: int
    at_us: int


def test_whoever_follows_three_links_within_a_second_is_a_machine_and_two_are_not() -> None:
    clicks = [
        Click(0, 0),
        Click(1, 500_000),
        Click(1, 900_000),
        Click(3, 5_000_000),
        Click(4, 5_300_000),
        Click(5, 5_900_000),
        Click(0, 9_000_000),
    ]
    assert list(in_a_burst(clicks)) == [3, 4, 5]
