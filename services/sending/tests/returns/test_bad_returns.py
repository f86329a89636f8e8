"""Mail that somebody made to hurt, and clocks that step back: it is read as far as makes sense, and no person is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.returns.answers.content import words_of
from postlaw_sending.returns.classify import classify
from postlaw_sending.returns.proofs import says_unsubscribe
from postlaw_sending.returns.providers import AT_LEAST
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from postlaw_sending.returns.verdict import verdict_of
from services.sending.tests.messages.compiled import ADDRESS_KEY
from services.sending.tests.returns.played import DAY_US, opened, providers_in

NOW_US = 1_800_000_000_000_000
PAGE = b"Content-Type: text/html\r\n\r\n"


@pytest.mark.parametrize(
    "mail",
    [
        b"Subject: " + b"=?utf-8?q?a?= " * 70_000,  # took minutes, with the listener's loop waiting
        b"From: " + b"(" * 1_000_000,  # ended in a RecursionError, and was tried for ever
        PAGE + b"<style " * 140_000,
        PAGE + b"<br " * 250_000,
    ],
    ids=["encoded words", "comments", "styles", "breaks"],
)
def test_a_mail_that_never_ends_what_it_begins_is_read_like_any_other(mail: bytes) -> None:
    verdict = verdict_of(mail)
    assert (verdict.kind, verdict.act) == ("none", None)
    assert not says_unsubscribe(mail)
    assert words_of(mail).content


def test_what_a_page_does_not_show_is_not_read() -> None:
    hidden = PAGE + b"<head><title>x</title></head><style>stop</style><p>Unsubscribe</p><script>no"
    assert says_unsubscribe(hidden)


def test_a_report_names_two_hundred_people_at_most() -> None:
    one = b"Final-Recipient: rfc822; p%d@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    head = b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n--x\r\n'
    mail = head + b"Content-Type: message/delivery-status\r\n\r\n" + b"".join(one % number for number in range(300)) + b"--x--\r\n"
    assert len(classify(mail).recipients) == 200


@promise("M6")
async def test_days_of_a_clock_that_was_ahead_lose_nobody_and_hide_no_spike(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        soft, providers = SoftBounces(lambda: store.collection(SOFT_BOUNCES.name)), providers_in(store)
        for day in range(400, 404):
            await soft.add("ten_1", ADDRESS_KEY, f"cmp_{day}", NOW_US + day * DAY_US)
        assert not await soft.add("ten_1", ADDRESS_KEY, "cmp_1", NOW_US)
        for _ in range(3 * AT_LEAST):
            await providers.counted("b.example", NOW_US + 400 * DAY_US)
        await providers.release("b.example", NOW_US)
        held = [await providers.counted("b.example", NOW_US + DAY_US) for _ in range(AT_LEAST)]
        assert held[-1] == (True, True) and held[-2] == (False, False)
