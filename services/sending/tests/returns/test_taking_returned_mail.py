"""The server that takes returned mail, and what becomes of it where something breaks: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import BusUnavailable, Record
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.rpc.tls import DevelopmentCA
from postlaw_common.store import Collection, Store, StoreUnavailable, open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.messages.return_path import COMPLAINTS, UNSUBSCRIBE, SentMessage
from postlaw_sending.returns import listener as listening
from postlaw_sending.returns.acting import Acting
from postlaw_sending.returns.held import HeldReturns
from postlaw_sending.returns.judging import CameBack
from postlaw_sending.returns.listener import LARGEST_MAIL, Inbox, Listener
from postlaw_sending.returns.people import About
from postlaw_sending.returns.proofs import Proof, proof_in
from postlaw_sending.returns.providers import AT_LEAST, PROVIDERS, Providers, is_spike
from postlaw_sending.returns.received import KEPT_DAYS, RECEIVED, Received
from postlaw_sending.returns.refusals import Refusals, refused_in
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from postlaw_sending.returns.verdict import verdict_of
from services.sending.tests.messages.compiled import ADDRESS_KEY, CAMPAIGN, OneKey, Person, campaign, started_return_paths

PATHS = started_return_paths("returns.example")
PATH = campaign(return_paths=PATHS).envelope_from(Person()).decode()
SENT = SentMessage(CAMPAIGN, ADDRESS_KEY[:13])
TOKEN = "AbCd-_19" * 29
DAY_US = 86_400_000_000


def bounce(id: str = "1", status: str = "5.1.1") -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.example\r\nTo: {PATH}\r\nMessage-ID: <{id}@mx.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nNo.\r\n'
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: {status}\r\n\r\n--x--\r\n"
    ).encode()


class Breaking:
    """Counts what is asked of the outside; the call of this number fails, before or after its effect."""

    def __init__(self) -> None:
        self.at = -1
        self.after = False
        self.calls = 0

    async def __call__(self, effect: Callable[[], object], failure: Exception) -> None:
        number, self.calls = self.calls, self.calls + 1
        if number == self.at and not self.after:
            raise failure
        effect()
        if number == self.at:
            raise failure


class Outside:
    """Consent, subscribers and the bus, as they would stand: acts by idempotency key, events by id."""

    partitions = 4

    def __init__(self, breaking: Breaking | None = None) -> None:
        self.breaking = breaking or Breaking()
        self.acts: dict[str, str] = {}
        self.events: set[bytes] = set()
        self.withdrawn: list[str] = []
        self.refused = ""

    async def of_message(self, sent: SentMessage, address: str = "") -> About | None:
        await self.breaking(lambda: None, Unavailable("away"))
        return About("ten_1", sent.campaign_id, "", ADDRESS_KEY, "sub_1")

    async def provider_of(self, about: About) -> str:
        return "b.example"

    async def of_token(self, token: str) -> About | None:
        return About("ten_1", CAMPAIGN, "", ADDRESS_KEY, "")

    async def withdraw(self, token: str) -> None:
        self.withdrawn.append(token)

    async def stop(self, about: About, act: str, key: str) -> None:
        if key == self.refused:
            raise Invalid("not this one")
        await self.breaking(lambda: self.acts.setdefault(key, act), Unavailable("away"))

    async def publish(self, records: list[Record]) -> list[int]:
        await self.breaking(lambda: self.events.update(record.headers["ce_id"] for record in records), BusUnavailable("away"))
        return [0] * len(records)


class BreakingCollection:
    """A collection, the writes of which may fail."""

    def __init__(self, collection: Collection, breaking: Breaking) -> None:
        self._collection = collection
        self._breaking = breaking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert(self, document: Any) -> None:
        await self._breaking(lambda: None, StoreUnavailable("away"))
        await self._collection.insert(document)

    async def replace(self, document: Any, *, version: int) -> Any:
        await self._breaking(lambda: None, StoreUnavailable("away"))
        return await self._collection.replace(document, version=version)


@asynccontextmanager
async def opened(state: Path) -> AsyncGenerator[Store]:
    store = open_store("sqlite:", "sending", state=str(state))
    await store.start([RECEIVED, SOFT_BOUNCES, PROVIDERS])
    yield store
    await store.close()


def received_in(store: Store, breaking: Breaking | None = None, now_us: Callable[[], int] = lambda: 1_800_000_000_000_000) -> Received:
    collection: Any = store.collection(RECEIVED.name)
    if breaking is not None:
        collection = BreakingCollection(collection, breaking)
    return Received(lambda: collection, OneKey(), now_us)


def providers_in(store: Store) -> Providers:
    return Providers(lambda: store.collection(PROVIDERS.name))


def acting(store: Store, outside: Any, breaking: Breaking | None = None) -> Acting:
    async def count(came_back: list[CameBack]) -> None:
        return None

    soft_bounces = SoftBounces(lambda: store.collection(SOFT_BOUNCES.name))
    return Acting(received_in(store, breaking), soft_bounces, providers_in(store), outside, outside, count)


async def no_report(tenant_id: str, mail: bytes) -> None:
    raise AssertionError("nothing here is one")


@asynccontextmanager
async def listening_to(take: Callable[[Proof, bytes], Any], **tls: str) -> AsyncGenerator[int]:
    async def answer(to: SentMessage, mail_from: str, content: bytes) -> str:
        raise AssertionError("nothing is answered")

    listener = Listener(Inbox("127.0.0.1", 0, "returns.example", **tls), PATHS, take, no_report, answer)
    running = asyncio.create_task(listener.run())
    while not listener.port:
        await asyncio.sleep(0.01)
    yield listener.port
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def sent(port: int, mail: bytes, to: str = PATH) -> int:
    """The code of the reply."""

    def send() -> int:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            try:
                server.sendmail("", [to], mail)
            except smtplib.SMTPRecipientsRefused as refused:
                return refused.recipients[to][0]
            except smtplib.SMTPResponseException as refused:
                return refused.smtp_code
            return 250

    return await asyncio.to_thread(send)


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
