"""What becomes of returned mail where something breaks, and when an address is no good: nothing is lost, nothing counts twice."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Unavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.held import HeldReturns
from postlaw_sending.returns.providers import AT_LEAST, is_spike
from postlaw_sending.returns.refusals import Refusals, refused_in
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from services.sending.tests.messages.compiled import ADDRESS_KEY, CAMPAIGN
from services.sending.tests.returns.played import (
    DAY_US,
    SENT,
    Breaking,
    Outside,
    acting,
    bounce,
    opened,
    providers_in,
    received_in,
)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(4))
@promise("M6")
async def test_what_was_taken_is_acted_on_once_wherever_acting_on_it_breaks(at: int, after: bool, tmp_path: Path) -> None:
    """Whose message, consent, the event, the note: each fails, before or after its effect, and another process goes on."""
    async with opened(tmp_path) as store:
        await received_in(store).take(SENT, bounce())
        breaking = Breaking()
        breaking.at, breaking.after = at, after
        outside = Outside(breaking)
        with suppress(Unavailable, BusUnavailable, StoreUnavailable):
            await acting(store, outside, breaking).act()
        assert breaking.calls == at + 1  # it did break there
        for _ in range(2):
            await acting(store, outside).act()
        assert (list(outside.acts.values()), len(outside.events)) == (["bounced"], 1)
        assert [mail async for mail in received_in(store).waiting()] == []


def refused(*reasons: str) -> Settled:
    """A batch of which the last is sent, everybody else refused."""
    states = bytes([*[State.BOUNCED] * len(reasons), State.SENT])
    keys, ids = [ADDRESS_KEY] * len(states), ["sub_1"] * len(states)
    return Settled("ten_1", CAMPAIGN, 0, 0, 0, 1, states, keys, ids, [*reasons, ""], [0] * len(states))


@promise("M6")
async def test_what_a_server_refused_is_acted_on_once_and_held_back_with_what_its_provider_returns(tmp_path: Path) -> None:
    """A batch is read twice, and after a crash once more."""
    async with opened(tmp_path) as store:
        outside, received = Outside(), received_in(store)
        for _ in range(3):
            await Refusals(received).take([refused(*["550 5.1.1 unknown"] * (AT_LEAST + 2))])
            await acting(store, outside).act()
        assert (len(outside.acts), len(outside.events)) == (AT_LEAST - 1, AT_LEAST - 1)
        assert await received.held("b.example") == 3
        await HeldReturns(received, providers_in(store)).release(sending.ReleaseHeldReturnsRequest(provider="b.example"))
        await acting(store, outside).act()
        assert (len(outside.acts), len(outside.events)) == (AT_LEAST + 2, AT_LEAST + 2)


@pytest.mark.parametrize(
    ("reason", "cls"),
    [
        ("550 5.1.1 <address>: Recipient address rejected: User unknown", "hard"),
        ("556 5.1.10 Recipient address has null MX", "hard"),  # RFC 7505 §4.2
        ("550 No such user here", "hard"),
        ("550 No", "soft"),  # of whom or of what?
        ("554 5.7.1 Message refused, listed", "soft"),
        ("552 5.2.2 Mailbox full", "soft"),
        ("550 5.1.8 Sender address rejected: Domain not found", "soft"),
    ],
)
def test_a_refusal_says_that_an_address_is_no_good_where_its_words_or_status_do(reason: str, cls: str) -> None:
    assert [notice.cls for notice in refused_in(refused(reason))] == [cls]


async def test_one_mail_that_cannot_be_acted_on_holds_no_other_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        received = received_in(store)
        for id in "12":
            await received.take(SENT, bounce(id))
        outside = Outside()
        first, _ = [mail.id async for mail in received.waiting()]
        outside.refused = f"returned/{first}"
        await acting(store, outside).act()
        assert len(outside.acts) == 1
        assert [f"returned/{mail.id}" async for mail in received.waiting()] == [outside.refused]


@pytest.mark.parametrize(
    ("days", "acts"),
    [
        ((0, 0, 2, 2, 5), ["bounced"] * 2),
        ((0, 0, 1, 1, 1, 1), []),  # a bad night
        ((0, 1, 2, 3), []),
        ((0, 3, 6, 9, 14), []),  # the first counts no more
        ((0, 3, 6, 9, 14, 15, 16), ["bounced"] * 4),  # 3, 6, 9, 14, 15; and each report after that
    ],
)
async def test_an_address_that_refuses_again_and_again_on_several_days_is_no_good_and_any_other_is_left_alone(
    days: tuple[int, ...], acts: list[str], tmp_path: Path
) -> None:
    """Of each message come two reports, and the second is acted on twice."""
    now = 1_800_000_000_000_000
    async with opened(tmp_path) as store:
        outside = Outside()
        for number, day in enumerate(days):
            at = now + day * DAY_US
            sent_message, received = SentMessage(f"cmp_{number}", SENT.person), received_in(store, None, partial(int, at))
            await received.take(sent_message, bounce("delayed", "4.4.7"))
            await acting(store, outside).act()
            await received.take(sent_message, bounce("failed", "4.2.2"))
            breaking = Breaking()
            breaking.at = 0
            with suppress(StoreUnavailable):
                await acting(store, outside, breaking).act()
            await acting(store, outside).act()
        assert list(outside.acts.values()) == acts
        await SoftBounces(lambda: store.collection(SOFT_BOUNCES.name)).forget(now + (days[-1] + 15) * DAY_US)
        assert await store.collection(SOFT_BOUNCES.name).count() == 0


async def test_when_a_provider_calls_everybody_unknown_its_bounces_wait_for_an_operators_word(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        outside, received, providers = Outside(), received_in(store), providers_in(store)
        calls = HeldReturns(received, providers)

        async def bounced(first: int, last: int) -> int:
            for number in range(first, last):
                await received.take(SENT, bounce(str(number)))
            await acting(store, outside).act()
            return len(outside.acts)

        assert await bounced(0, AT_LEAST - 1) == AT_LEAST - 1
        assert await bounced(200, 203) == AT_LEAST - 1
        [held] = (await calls.list()).held
        assert (held.provider, held.mails) == ("b.example", 3)
        assert [mail async for mail in received.waiting()] == []
        assert (await calls.release(sending.ReleaseHeldReturnsRequest(provider="b.example"))).released == 3
        assert await bounced(300, 302) == AT_LEAST + 4
        assert list((await calls.list()).held) == []


@pytest.mark.parametrize(
    ("before", "today", "spike"), [(0, 99, False), (0, 100, True), (130, 100, False), (130, 101, True), (13_000, 9_000, False)]
)
def test_a_day_is_a_spike_where_it_has_many_and_ten_times_what_the_days_before_had(before: int, today: int, spike: bool) -> None:
    """`before`: of the 13 days before, together."""
    assert is_spike({"2027-01-14": before, "2027-01-15": today}, "2027-01-15") == spike
