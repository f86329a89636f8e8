"""What people answer to a campaign: taken where somebody reads it, passed on once, and a message of ours that carries theirs."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postlaw_common.errors import Conflict, Unavailable
from postlaw_common.store import Store, open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.messages.answer import PASSED_ON, Answer, CompiledAnswer
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.answers.content import words_of
from postlaw_sending.returns.answers.limits import ANSWERED, OF_ONE, Limits
from postlaw_sending.returns.answers.passing_on import PassOn
from postlaw_sending.returns.answers.taking import TAKEN, TakeAnswer
from postlaw_sending.returns.reading import LARGEST
from postlaw_sending.returns.received import ANSWERS, RECEIVED, Received
from services.sending.tests.messages.compiled import ADDRESS_KEY, CAMPAIGN, OneKey, Person, campaign, started_return_paths

PATHS = started_return_paths("returns.example")
SENT = SentMessage(CAMPAIGN, ADDRESS_KEY[:13])
NOW_US = 1_800_000_000_000_000


def passed_on(content: bytes) -> bytes:
    """The message that an answer becomes."""
    words = words_of(content)
    answer = Answer(
        "sgl_01m84s6memev1rrrm3cf6xsn86", "", "Shop", "news@shop.example", words.name, words.reply_to, words.subject, words.content
    )
    return CompiledAnswer(answer, PATHS, lambda: 1_800_000_000).render(Person(address="team@shop.example"))


def read(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def test_an_answer_goes_on_whole_from_the_customers_own_domain_and_is_answered_at_the_persons_address() -> None:
    """From is of a domain that we sign for (RFC 7489 §3.1, §6.6); what served the answer on its own way stays behind (RFC 5321 §6.4)."""
    answer = EmailMessage()
    answer["From"], answer["To"], answer["Subject"] = "Zoë <zoe@example.com>", "a+x@returns.example", "Re: Größe"
    answer["DKIM-Signature"], answer["Bcc"], answer["Disposition-Notification-To"] = "v=1", "c@d.example", "zoe@example.com"
    answer.set_content("Wie groß?\n", cte="8bit")
    answer.add_attachment(b"\x89PNG\0\r\n" * 200, maintype="image", subtype="png", filename="größe.png")
    message = passed_on(answer.as_bytes())
    assert message.isascii(), "RFC 6152 §3: not every server takes eight bits"
    found = read(message)
    assert (found["From"], found["Reply-To"], found["To"]) == (
        "Zoë via Shop <news@shop.example>", "zoe@example.com", "team@shop.example",
    )  # fmt: skip
    assert found["Subject"] == "Re: Größe"
    assert {"dkim-signature", "bcc", "disposition-notification-to"}.isdisjoint(name.lower() for name in found)
    text, image = found.iter_parts()
    assert text.get_content() == "Wie groß?\n"
    assert (image.get_filename(), image.get_content()) == ("größe.png", b"\x89PNG\0\r\n" * 200)


@given(
    st.binary(max_size=600), st.sampled_from([b"", b"From: a@b.example\r\nContent-Type: ", b"Subject: ", b"\r\n", b"From: ", b"Reply-To: "])
)
@example(b"\x0bBcc: c@d.example", b"From: a@b.example\r\nContent-Type: ")  # a vertical tab ends a line for Python's generator,
@example(b"\x0b\x01", b"From: a@b.example\r\nContent-Type: ")  # which refuses what looks like a header behind it, and no other line
def test_whatever_somebody_answers_becomes_one_message_with_our_headers_once(noise: bytes, before: bytes) -> None:
    """RFC 5322 §2.1.1, §3.6; no header of theirs becomes one of ours."""
    message = passed_on(before + noise)
    head, _, _ = message.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert len(names) == len(set(names))
    ours = {b"from", b"reply-to", b"to", b"subject", b"date", b"message-id", PASSED_ON.lower().encode(), b"mime-version"}
    assert set(names) <= ours | {b"content-type", b"content-transfer-encoding", b"content-language"}
    assert message.isascii() and b"\0" not in message
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in message.split(b"\r\n"))
    assert read(message)["To"] == "team@shop.example"


@asynccontextmanager
async def opened(state: Path) -> AsyncGenerator[Store]:
    store = open_store("sqlite:", "sending", state=str(state))
    await store.start([RECEIVED, ANSWERS, ANSWERED])
    yield store
    await store.close()


class Door:
    """Where answers are taken. `reads`: whether the team address still has a reader; `verified`: whether the sender's domain is."""

    def __init__(self, store: Store) -> None:
        self.reads = self.verified = True
        self.forwards = "tad_1"
        self.stops = Received(lambda: store.collection(RECEIVED.name), OneKey(), lambda: NOW_US)
        self.answers = Received(lambda: store.collection(ANSWERS.name), OneKey(), lambda: NOW_US)
        self.limits = Limits(lambda: store.collection(ANSWERED.name), lambda: NOW_US)
        self.take = TakeAnswer(self.stops, self.answers, self.limits, self.find, self.reach, lambda: None, self.may_send_from)

    async def find(self, campaign_id: str) -> Any:
        sender = SimpleNamespace(name="Shop", address="news@shop.example")
        return SimpleNamespace(
            tenant_id="ten_1", campaign_id=campaign_id, forward_answers_to=self.forwards, sender=sender, contact="hello@shop.example"
        )

    async def reach(self, tenant_id: str, team_address_id: str) -> bool:
        return self.reads

    async def may_send_from(self, tenant_id: str, address: str) -> None:
        if not self.verified:
            raise Conflict("not verified")

    async def waiting(self) -> tuple[int, int]:
        """(stops, answers)"""
        return len([mail async for mail in self.stops.waiting()]), len([mail async for mail in self.answers.waiting()])


def answer(id: str = "1", *headers: str, text: str = "How much is it?") -> bytes:
    return "\r\n".join(["From: ann@example.com", f"Message-ID: <{id}@example.com>", *headers, "", text]).encode()


@pytest.mark.parametrize(
    ("mail", "mail_from", "changed", "said", "kept"),
    [
        (answer(), "ann@example.com", {}, TAKEN, (0, 1)),
        (answer("1", "Subject: unsubscribe"), "eve@example.com", {"reads": False}, TAKEN, (1, 0)),
        (answer(), "", {}, TAKEN, (0, 0)),  # RFC 5321 §4.5.5: the null reverse-path; RFC 3834 §4
        (answer("1", "Auto-Submitted: auto-replied (vacation)"), "ann@example.com", {}, TAKEN, (0, 0)),  # RFC 3834 §2
        (answer("1", "Precedence: bulk"), "ann@example.com", {}, TAKEN, (0, 0)),
        (answer("1", f"{PASSED_ON}: answer"), "ann@example.com", {}, "554 5.4.6", (0, 0)),
        (answer("1", *["Received: x"] * 101), "ann@example.com", {}, "554 5.4.6", (0, 0)),  # RFC 5321 §6.3
        (answer(text="x" * LARGEST), "ann@example.com", {}, "552 5.3.4", (0, 0)),
        (answer(), "ann@example.com", {"reads": False}, "550 5.1.1", (0, 0)),
        (answer(), "ann@example.com", {"forwards": ""}, "550 5.1.1", (0, 0)),
        (answer(), "ann@example.com", {"verified": False}, "451 4.3.0", (0, 0)),
    ],
)
@promise("M5")
async def test_an_answer_is_kept_where_a_person_wrote_it_and_somebody_reads_it_and_a_stop_always(
    mail: bytes, mail_from: str, changed: dict[str, Any], said: str, kept: tuple[int, int], tmp_path: Path
) -> None:
    async with opened(tmp_path) as store:
        door = Door(store)
        for name, value in changed.items():
            setattr(door, name, value)
        assert (await door.take(SENT, mail_from, mail)).startswith(said)
        assert await door.waiting() == kept


async def test_who_answers_on_and_on_is_put_off_until_tomorrow_and_nobody_else_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        door = Door(store)
        for number in range(OF_ONE):
            assert await door.take(SENT, "a@b.example", answer(str(number))) == TAKEN
        assert (await door.take(SENT, "a@b.example", answer("more"))).startswith("451 4.7.1")
        assert await door.take(SentMessage(CAMPAIGN, bytes(13)), "a@b.example", answer("other")) == TAKEN


class Outside:
    """Team addresses, contexts and posting, as they would stand; posting fails where told."""

    def __init__(self) -> None:
        self.posted: dict[str, Answer] = {}
        self.fails: list[bool] = []  # before its effect (False) or after it
        self.signs: dict[tuple[str, bytes], int] = {}

    async def heard(self, signs: Mapping[tuple[str, bytes], int]) -> None:
        self.signs.update(signs)

    async def confirmed(self, tenant_id: str, team_address_id: str) -> Any:
        return SimpleNamespace(address_key=b"key", address="team@shop.example")

    @asynccontextmanager
    async def acting(self, tenant_id: str, **how: Any) -> AsyncGenerator[None]:
        yield

    async def __call__(self, tenant_id: str, key: str, to: Any, words: Answer, facts: Any, *, link: bytes) -> str:
        after = self.fails.pop() if self.fails else None
        if after is False:
            raise Unavailable("away")
        self.posted.setdefault(key, words)
        if after:
            raise Unavailable("away")
        return "sgl_1"


@pytest.mark.parametrize("after", [False, True])
async def test_what_was_taken_is_passed_on_once_wherever_it_breaks_and_then_nothing_of_it_is_kept(after: bool, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        door, outside = Door(store), Outside()
        for _ in range(2):  # the first 250 was lost
            await door.take(SENT, "ann@example.com", answer())
        outside.fails.append(after)
        parts: Any = (door.answers, door.limits, door.find, outside, outside, lambda: outside, door.may_send_from, outside.heard)
        passing = PassOn(*parts)
        with suppress(Unavailable):
            await passing.once()
        assert await door.waiting() == (0, 1)
        await passing.once()
        [words] = outside.posted.values()
        assert (words.name, words.reply_to, words.sender_address) == ("ann@example.com", "ann@example.com", "news@shop.example")
        assert await door.waiting() == (0, 0)
        assert outside.signs == {("ten_1", SENT.person): NOW_US}, "whoever answers is not silent"
        [left] = [document async for page in store.collection(ANSWERS.name).scan() for document in page]
        assert set(left) == {"_id", "v", "done_on"}


@promise("M5")
def test_each_recipient_answers_at_an_address_of_their_own_that_is_no_return_path() -> None:
    compiled = campaign(return_paths=PATHS, answers_to_us=True)
    at = str(read(compiled.render(Person()))["Reply-To"]).strip("<>")
    assert PATHS.read_answer(at.upper()) == SENT
    assert PATHS.read(at) is None and PATHS.read_answer(compiled.envelope_from(Person()).decode()) is None
    assert PATHS.read(at.replace("a+", "b+", 1)) is None
    other = campaign(return_paths=PATHS, answers_to_us=True).render(Person(address_key=bytes(33)))
    assert str(read(other)["Reply-To"]).strip("<>") != at
