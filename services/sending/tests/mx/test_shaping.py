"""How much a receiver is given: more while it takes, less once it says so."""

from __future__ import annotations

from datetime import date

import pytest

from postlaw_sending.delivery import Kind, Reply
from postlaw_sending.mx.pools import OwnAddress, parsed
from postlaw_sending.mx.receivers import receiver_of
from postlaw_sending.mx.shaping import NoTurn, Resting, Shaping


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(kind: Kind, code: int, text: str = "") -> Reply:
    return Reply(kind, code, text, 0)


async def test_connections_grow_with_what_is_taken_up_to_what_the_receiver_allows() -> None:
    shaping = Shaping(receiver_of("mta5.am0.yahoodns.net"))
    assert shaping.allowed == 2
    async with shaping.turn(1), shaping.turn(1):
        with pytest.raises(NoTurn):
            async with shaping.turn(0.01):
                pass
    for _ in range(1000):
        shaping.heard(said("accepted", 250))
    assert shaping.allowed == shaping.receiver.connections == 5


@pytest.mark.parametrize(
    ("host", "code", "text"),
    [
        ("gmail-smtp-in.l.google.com", 421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail"),
        ("x.mail.protection.outlook.com", 451, "4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)"),
        ("mta7.am0.yahoodns.net", 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume"),
        ("mx.small.example", 450, "4.7.1 Error: too many connections from 192.0.2.1"),
    ],
)
async def test_the_words_of_big_receivers_are_understood_at_once(host: str, code: int, text: str) -> None:
    clock = Clock()
    shaping = Shaping(receiver_of(host), clock)
    shaping.heard(said("deferred", code, text))
    assert (shaping.resting, shaping.allowed) == (True, 1)
    with pytest.raises(Resting, match=r"^4"):
        async with shaping.turn(1):
            pass
    first = shaping.receiver.rest_s
    clock.now = first
    assert not shaping.resting
    shaping.heard(said("deferred", code, text))
    clock.now = first * 2.9
    assert shaping.resting  # twice as long the second time


async def test_a_mailbox_that_is_put_off_is_not_the_receiver() -> None:
    """RFC 5321 §4.2.3, 450: the mailbox is busy; several in a row are no mailboxes any more."""
    shaping = Shaping(receiver_of("mx.small.example"))
    for turn in range(20):
        shaping.heard(said("deferred", 450, "4.2.0 greylisted"))
        if turn % 4 == 3:
            shaping.heard(said("accepted", 250))
    assert not shaping.resting
    for _ in range(5):
        shaping.heard(said("deferred", 451, "4.3.0 local error"))
    assert shaping.resting


@pytest.mark.parametrize(
    "wrong", ["marketing=mail.example.org", "other=192.0.2.1", "marketing", "ten_1=192.0.2.1", "marketing=192.0.2.1@soon"]
)
def test_a_pool_is_a_streams_addresses(wrong: str) -> None:
    assert parsed("ten_1/marketing=192.0.2.1, 2001:DB8::1@2026-11-20; transactional=192.0.2.2") == {
        "ten_1/marketing": (OwnAddress("192.0.2.1"), OwnAddress("2001:db8::1", date(2026, 11, 20))),
        "transactional": (OwnAddress("192.0.2.2"),),
    }
    with pytest.raises(ValueError, match=r"."):
        parsed(wrong)
