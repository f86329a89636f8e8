"""The server that takes returned mail: what it takes is durable, and nobody holds it up."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.rpc.tls import DevelopmentCA
from postlaw_common.testing.promises import promise
from postlaw_sending.messages.return_path import COMPLAINTS, UNSUBSCRIBE
from postlaw_sending.returns import listener as listening
from postlaw_sending.returns.listener import LARGEST_MAIL
from postlaw_sending.returns.proofs import Proof, proof_in
from postlaw_sending.returns.received import KEPT_DAYS, RECEIVED
from postlaw_sending.returns.verdict import verdict_of
from services.sending.tests.messages.compiled import CAMPAIGN
from services.sending.tests.returns.played import (
    DAY_US,
    PATH,
    PATHS,
    SENT,
    TOKEN,
    Breaking,
    Outside,
    acting,
    bounce,
    listening_to,
    opened,
    received_in,
    sent,
)


@promise("M6")
async def test_250_is_said_of_what_is_durable_and_of_nothing_else(tmp_path: Path) -> None:
    """RFC 5321 §6.1: whoever says 250 has taken the responsibility."""
    async with opened(tmp_path) as store:
        breaking = Breaking()
        breaking.at = 0
        async with listening_to(received_in(store, breaking).take) as port:
            assert await sent(port, bounce()) == 451
            assert [mail async for mail in received_in(store).waiting()] == []
            assert await sent(port, bounce()) == 250
        [mail] = [mail async for mail in received_in(store).waiting()]
        assert (mail.about, mail.content.strip()) == (SENT, bounce().strip())


async def test_a_mail_that_is_sent_again_is_the_same_also_once_it_is_done_and_another_is_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        outside = Outside()
        async with listening_to(received_in(store).take) as port:
            for mail in (
                bounce("1"),
                bounce("1"),
                bounce("2"),
                b"Subject: x\r\n\r\none",
                b"Subject: x\r\n\r\none",
                b"Subject: x\r\n\r\ntwo",
            ):
                assert await sent(port, mail) == 250
                await acting(store, outside).act()
        assert (len(outside.acts), len(outside.events)) == (2, 4)


async def test_nothing_of_a_mail_stands_open_and_its_name_goes_after_two_weeks(tmp_path: Path) -> None:
    now = 1_800_000_000_000_000
    async with opened(tmp_path) as store:
        collection = store.collection(RECEIVED.name)
        received = received_in(store, None, lambda: now)
        await received.take(SENT, bounce())
        [document] = [one async for page in collection.scan() for one in page]
        assert b"a@b.example" not in document["mail"] and CAMPAIGN not in str(document)
        await acting(store, Outside()).act()
        [document] = [one async for page in collection.scan() for one in page]
        assert set(document) == {"_id", "v", "done_on"}
        now += KEPT_DAYS * DAY_US
        assert await received.forget() == 0
        now += DAY_US
        assert await received.forget() == 1 and await collection.count() == 0


async def test_a_mail_of_20_mb_is_refused_and_the_next_one_taken(tmp_path: Path) -> None:
    """RFC 1870 §6.1: by the size that MAIL states, or by what DATA brings."""
    taken: list[int] = []
    large = (b"x" * 998 + b"\r\n") * 20_000

    async def take(about: Proof, content: bytes) -> None:
        taken.append(len(content))

    async with listening_to(take) as port:
        assert await sent(port, large) == 552

        def unstated() -> int:
            with smtplib.SMTP("127.0.0.1", port, timeout=60) as server:
                server.ehlo()
                assert server.esmtp_features["size"] == str(LARGEST_MAIL)
                server.mail("")
                server.rcpt(PATH)
                return server.data(large)[0]

        assert await asyncio.to_thread(unstated) == 552
        assert await sent(port, bounce()) == 250
    assert len(taken) == 1


async def test_whoever_guesses_addresses_or_takes_every_connection_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def take(about: Proof, content: bytes) -> None:
        raise AssertionError("nothing is taken")

    def guess(port: int) -> list[int]:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            server.ehlo()
            server.mail("")
            wrong = PATH.replace("b+0", "b+1")
            return [*(server.rcpt(wrong)[0] for _ in range(listening.MOST_WRONG)), server.rcpt(PATH)[0]]

    monkeypatch.setattr(listening, "MOST_FROM_ONE", 1)
    async with listening_to(take) as port:
        assert await asyncio.to_thread(guess, port) == [550] * listening.MOST_WRONG + [421]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"220")
        other, others = await asyncio.open_connection("127.0.0.1", port)
        assert (await other.read()).startswith(b"421 4.7.0")
        for one in (writer, others):
            one.close()
        await reader.read()
        assert await sent(port, bounce(), "someone@returns.example") == 550


async def test_tls_is_offered_where_there_is_a_certificate(tmp_path: Path) -> None:
    """RFC 3207."""
    identity = DevelopmentCA(tmp_path).identity("returns")
    for name, pem in (("certificate", identity.certificate), ("key", identity.key)):
        (tmp_path / name).write_bytes(pem)
    taken: list[bytes] = []

    async def take(about: Proof, content: bytes) -> None:
        taken.append(content)

    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            server.starttls()
            server.ehlo()
            assert "auth" not in server.esmtp_features
            server.sendmail("", [PATH], bounce())

    async with listening_to(take, certificate=str(tmp_path / "certificate"), key=str(tmp_path / "key")) as port:
        await asyncio.to_thread(send, port)
    assert len(taken) == 1


@given(st.binary(max_size=2_000), st.sampled_from([UNSUBSCRIBE, COMPLAINTS]))
def test_no_mail_is_too_malformed_to_be_judged(noise: bytes, mailbox: str) -> None:
    for mail in (noise, bounce() + noise, b"Content-Type: message/feedback-report\r\n\r\n" + noise, b"Subject: " + noise + b"\r\n\r\n"):
        verdict_of(mail)
        assert proof_in(mailbox, mail, PATHS.read) is None or mailbox == UNSUBSCRIBE


@given(st.integers(0, 60), st.text(max_size=30))
def test_a_token_is_found_however_a_subject_is_written_and_a_report_however_deep_it_claims_to_be(depth: int, words: str) -> None:
    message = EmailMessage()
    message["Subject"] = f"{' '.join(words.split())} {TOKEN}"
    found = proof_in(UNSUBSCRIBE, message.as_bytes(), PATHS.read)
    assert isinstance(found, str) and found.endswith(TOKEN)
    nested = b"Content-Type: text/plain\r\n\r\nx"
    for level in range(depth):
        nested = b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n%b\r\n--%d--\r\n' % (level, level, nested, level)
    assert verdict_of(nested).act is None


@pytest.mark.parametrize(
    ("subject", "text", "act"),
    [
        ("unsubscribe", "", "withdrawn"),
        ("Re: Abmelden.", "", "withdrawn"),
        ("Re: The news", "\n\nSTOP!\n\nOn Monday you wrote:\n> stop", "withdrawn"),
        ("Re: The news", "Please don't stop, I like it", None),
        ("Re: How to unsubscribe from worry", "Thank you!", None),
        ("Automatic reply: unsubscribe", "I am away", None),
    ],
)
@promise("M5")
def test_a_reply_stops_mail_where_it_says_nothing_but_that(subject: str, text: str, act: str | None) -> None:
    assert verdict_of(f"From: ann@example.com\nSubject: {subject}\n\n{text}".encode()).act == act
