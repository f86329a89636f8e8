"""The whole mesh: from a mail that comes back to the closed gates."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.events import from_record
from postlaw_common.testing.promises import promise
from postlaw_mesh.dev import free_port

from .signing_up import WORDING, Acme, acme
from .test_suppression_lists import HELD, imported

ANN, BOB = "ann@example.com", "bob@example.com"
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
    async with acme(tmp_path, inbound=f"127.0.0.1:{port}", return_host="returns.postlaw.example") as customer:
        await consented(customer, ANN, BOB)
        await customer.campaign()
        path = return_path_of(customer, ANN)
        assert path.endswith("@returns.postlaw.example")

        forged = return_path_of(customer, BOB)
        forged = forged.replace(forged[-30:], path[-30:])  # Bob's ids under another's tag
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await returned(port, forged, bounce(forged))

        for _ in range(2):  # the first 250 was lost on its way
            await returned(port, path, bounce(path))
        async with asyncio.timeout(30):
            while "bounced" not in await customer.kinds(ANN) or not await returns_told(customer):
                await asyncio.sleep(0.05)
        again = await customer.campaign()
        assert dict(again.totals.refused_by_reason) == {"BOUNCED": 1}
        assert (len(customer.mails_to(ANN)), len(customer.mails_to(BOB))) == (1, 2)
        [told] = await returns_told(customer)
        assert (told.kind, told.outcome, told.status, told.stopped) == (
            sending.MessageReturned.KIND_BOUNCE, sending.MessageReturned.CLASS_HARD, "5.1.1", True,
        )  # fmt: skip
        assert (await customer.kinds(ANN)).count("bounced") == 1 and "bounced" not in await customer.kinds(BOB)
