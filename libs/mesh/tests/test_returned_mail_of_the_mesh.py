"""The whole mesh: from a mail that comes back to the closed gates."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import smtplib
from pathlib import Path

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.events import from_record
from postlaw_common.free_ports import free_port
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.smtp_session import SmtpSession

from .signing_up import WORDING, Acme, acme
from .test_suppression_lists import HELD, imported

ANN, BOB, CAT, DAN = "ann@example.com", "bob@example.com", "cat@example.com", "dan@example.com"
HOST = "returns.postlaw.example"
BOUNCE = """\
From: MAILER-DAEMON@mx.example.com
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <{id}@mx.example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="x"

--x
Content-Type: text/plain

I could not deliver your message.

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {recipient}
Action: failed
Status: {status}
Diagnostic-Code: smtp; 550 {status} {said}

--x--
"""
COMPLAINT = """\
From: feedback@provider.example
To: complaints@{host}
Subject: FW: The news
Message-ID: <{id}@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="x"

--x
Content-Type: text/plain

This is a complaint about a message that one of our users received.

--x
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1
{named}

--x
Content-Type: message/rfc822

{original}
--x--
"""


def bounce(to: str, *, id: str = "1", recipient: str = ANN, status: str = "5.1.1", said: str = "User unknown") -> str:
    return BOUNCE.format(to=to, id=id, recipient=recipient, status=status, said=said)


async def returned(port: int, to: str, mail: str) -> None:
    """As another server sends it, with the null reverse-path (RFC 5321 §4.5.5)."""

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            server.sendmail("", [to], mail)

    await asyncio.to_thread(send)


async def returns_told(customer: Acme) -> list[sending.MessageReturned]:
    """All events of returned mail so far."""
    bus = customer.mesh.running.backing.bus
    records = [
        record for partition in range(bus.partitions) for record in await bus.read_range("postlaw.sending.returns.v1", partition, 0, 1000)
    ]
    return [sending.MessageReturned.FromString(from_record(record).data) for record in records]


def return_path_of(customer: Acme, address: str) -> str:
    return next(mail.sender for mail in customer.catcher.last if mail.recipients == [address])


async def consented(customer: Acme, *addresses: str) -> None:
    attested = subscribers.ImportConsent(source="shop", wording=WORDING, attested_by="Ada Example", held=HELD, territories=["IE"])
    await imported(customer, "\n".join(["email", *addresses, ""]).encode(), list_id=customer.list_id, consent=attested)


@promise("M6")
async def test_whoever_cannot_be_reached_is_mailed_no_more_and_a_forged_bounce_stops_nobody(tmp_path: Path) -> None:
    port = free_port()
    async with acme(tmp_path, inbound=f"127.0.0.1:{port}", return_host=HOST) as customer:
        await consented(customer, ANN, BOB)
        await customer.campaign()
        path = return_path_of(customer, ANN)
        assert path.endswith(f"@{HOST}")

        forged = return_path_of(customer, BOB)
        forged = forged.replace(forged[-30:], path[-30:])  # Bob's ids under another's tag
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await returned(port, forged, bounce(forged))

        for _ in range(2):  # the first 250 was lost on its way
            await returned(port, path, bounce(path))
        async with patience():
            while "bounced" not in await customer.kinds(ANN) or not await returns_told(customer):
                await asyncio.sleep(0.05)
        again = await customer.campaign()
        assert dict(again.totals.refused_by_reason) == {"BOUNCED": 1}
        assert (len(customer.mails_to(ANN)), len(customer.mails_to(BOB))) == (1, 2)
        [told] = await returns_told(customer)
        assert (told.kind, told.outcome, told.status, told.stopped) == (
            sending.MessageReturned.KIND_BOUNCE, sending.MessageReturned.CLASS_HARD, "5.1.1", True,
        )  # fmt: skip
        operator = SendingServiceStub(customer.mesh.channel("sending", as_service="operator"))
        assert list((await operator.ListHeldReturns(sending.ListHeldReturnsRequest())).held) == []
        assert (await operator.ReleaseHeldReturns(sending.ReleaseHeldReturnsRequest(provider="example.com"))).released == 0
        assert (await customer.kinds(ANN)).count("bounced") == 1 and "bounced" not in await customer.kinds(BOB)


def unsubscribing_of(customer: Acme, address: str) -> tuple[str, str]:
    """The header's mail: to whom, with which subject (RFC 2369 §3.2, RFC 6068 §2)."""
    [mail] = customer.mails_to(address)
    found = re.fullmatch(r"<(https?://\S+)>,\s<mailto:([^?]+)\?subject=([^>]+)>", str(mail["List-Unsubscribe"]))
    assert found is not None and found[1].endswith(found[3])
    return found[2], found[3]


async def acts_of(customer: Acme, address: str) -> list[tuple[str, consent.Scope, consent.Route.ValueType]]:
    """All but consents, once there are any."""
    async with patience():
        while not (acts := [event for event in await customer.events(address) if event.kind != consent.ConsentEvent.KIND_GIVEN]):
            await asyncio.sleep(0.05)
    return [(consent.ConsentEvent.Kind.Name(act.kind), act.scope, act.route) for act in acts]


@promise("M5", "M6")
async def test_a_mail_or_a_complaint_stops_what_its_token_or_return_path_names_and_whose_name_it_bears_counts_for_nothing(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with acme(tmp_path, inbound=f"127.0.0.1:{port}", return_host=HOST) as customer:
        lists = customer.stub(SubscribersServiceStub, "subscribers")
        customer.list_id = (await lists.CreateList(subscribers.CreateListRequest(name="North news", brand="North"))).list_id
        await consented(customer, ANN, BOB, CAT, DAN)
        await customer.campaign()
        to, token = unsubscribing_of(customer, ANN)
        assert to == f"unsubscribe@{HOST}"

        for subject in ("unsubscribe", "A" * len(token)):
            mail = f"From: {BOB}\nTo: {to}\nSubject: {subject}\nMessage-ID: <{len(subject)}@example.com>\n\n"
            if subject == "unsubscribe":
                with pytest.raises(smtplib.SMTPDataError) as refused:
                    await returned(port, to, mail)
                assert refused.value.smtp_code == 550
            else:
                await returned(port, to, mail)
        await returned(port, to.upper(), f"From: {BOB}\nTo: {to}\nSubject: {token[:70]}\n {token[70:]}\nMessage-ID: <a@x.example>\n\n")
        north, this = consent.Scope(brand="North"), consent.Scope(list_id=customer.list_id)
        assert await acts_of(customer, ANN) == [("KIND_WITHDRAWN", this, consent.ROUTE_MAIL)]

        _, of_bob = unsubscribing_of(customer, BOB)  # the provider hides who it was, but not the link
        original = f"From: news@acme.example\nTo: redacted@provider.example\nList-Unsubscribe: <https://acme.example/u/{of_bob}>\n\nNews.\n"
        await returned(port, f"complaints@{HOST}", COMPLAINT.format(host=HOST, id="b", named="", original=original))
        named = f"Original-Mail-From: <{return_path_of(customer, CAT)}>"
        await returned(port, f"complaints@{HOST}", COMPLAINT.format(host=HOST, id="c", named=named, original="Subject: News\n\nNews.\n"))
        for person in (BOB, CAT):
            assert await acts_of(customer, person) == [("KIND_COMPLAINED", north, consent.ROUTE_API)]

        path = return_path_of(customer, DAN)
        await returned(
            port, path, f"From: {DAN}\nTo: {path}\nSubject: Re: The news\nMessage-ID: <d@x.example>\n\nPlease remove me!\n\n> News.\n"
        )
        assert await acts_of(customer, DAN) == [("KIND_WITHDRAWN", north, consent.ROUTE_MAIL)]

        again = await customer.campaign()
        assert again.totals.sent == 0 and again.totals.refused == 4


async def until_stopped(customer: Acme, address: str) -> None:
    async with patience():
        while "bounced" not in await customer.kinds(address):
            await asyncio.sleep(0.05)


@promise("M6")
async def test_whom_the_next_server_itself_does_not_know_is_mailed_no_more_and_whom_it_only_refuses_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5321 §3.6.2, §4.2.2: 550 to RCPT. No mail comes back: nothing listens for any."""

    def recipient(self: SmtpSession, address: bytes) -> bytes:
        return b"550 5.1.1 <%b>: User unknown\r\n" % address if address.decode() == ANN else b"550 5.7.1 Looks like spam\r\n"

    async with acme(tmp_path) as customer:
        await consented(customer, ANN, BOB)
        with monkeypatch.context() as patched:
            patched.setattr(SmtpSession, "recipient", recipient)
            assert (await customer.campaign()).totals.bounced == 2
        await until_stopped(customer, ANN)
        again = await customer.campaign()
        assert (again.totals.sent, dict(again.totals.refused_by_reason)) == (1, {"BOUNCED": 1})
        assert "bounced" not in await customer.kinds(BOB)
        told = {one.status: (one.kind, one.outcome, one.stopped) for one in await returns_told(customer)}
        kind = sending.MessageReturned.KIND_BOUNCE
        assert told == {
            "5.1.1": (kind, sending.MessageReturned.CLASS_HARD, True), "5.7.1": (kind, sending.MessageReturned.CLASS_SOFT, False),
        }  # fmt: skip


@promise("M6", "G12")
async def test_a_single_message_that_comes_back_or_is_refused_stops_its_person_as_a_campaigns_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    async with acme(tmp_path, inbound=f"127.0.0.1:{port}", return_host=HOST) as customer:
        await customer.sign_up(ANN)
        await customer.mail_to(ANN)
        path = return_path_of(customer, ANN)
        with pytest.raises(smtplib.SMTPRecipientsRefused):  # the same ids and tag as a campaign's
            await returned(port, path.replace("s+", "b+", 1), bounce(path))
        await returned(port, path, bounce(path))
        await until_stopped(customer, ANN)

        monkeypatch.setattr(SmtpSession, "recipient", lambda self, address: b"550 5.1.1 User unknown\r\n")
        await customer.sign_up(BOB)
        await until_stopped(customer, BOB)
        assert all(one.campaign_id.startswith("sgl_") and one.stopped for one in await returns_told(customer))


@promise("M6")
async def test_a_provider_says_at_the_door_that_an_address_is_no_good_and_nobody_else_does(tmp_path: Path) -> None:
    def report(key: str, address: str) -> dict[str, object]:
        at = str(customer.clock() // 1_000_000)
        signature = hmac.new(key.encode(), f"{at}token".encode(), hashlib.sha256).hexdigest()
        event = {
            "event": "failed", "severity": "permanent", "id": address, "recipient": address,
            "message": {"headers": {"message-id": customer.mails_to(address)[0]["Message-ID"].strip("<>")}},
            "delivery-status": {"message": "550 5.1.1 User unknown"},
        }  # fmt: skip
        return {"signature": {"timestamp": at, "token": "token", "signature": signature}, "event-data": event}

    async with acme(tmp_path, webhook_mailgun_key="secret") as customer:
        await consented(customer, ANN, BOB)
        await customer.campaign()
        assert (await customer.http.post("/r/mailgun", json=report("guessed", BOB))).status_code == 403
        assert (await customer.http.post("/r/other", json=report("secret", BOB))).status_code == 404
        assert (await customer.http.post("/r/mailgun", content=b"x" * (1 << 20) + b"x")).status_code == 413
        assert (await customer.http.get("/r/mailgun")).status_code == 405
        assert (await customer.http.post("/r/mailgun", json=report("secret", ANN))).status_code == 204
        await until_stopped(customer, ANN)
        assert "bounced" not in await customer.kinds(BOB)
