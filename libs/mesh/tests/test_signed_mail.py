"""From registering a domain to a message that others' programs verify, through the whole mesh."""

from __future__ import annotations

import asyncio
import csv
import email
import email.policy
import io
from pathlib import Path

import dkim

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.catcher import Captured
from postlaw_sending.testing.dns_server import DnsServer, dns_server

from .signing_up import ATTESTED, Acme, acme, imported, link_in

D = sending.SenderDomain
DOMAIN = sending.SenderDomainRequest(domain="acme.example")


def publish(server: DnsServer, domain: D) -> None:
    """Everything that a verified domain has in the DNS."""
    for record in domain.dns_records:
        server.put_text(record.name, record.value)
    server.put_text("acme.example", "v=spf1 include:_spf.mail.example -all")
    server.put_text("_dmarc.acme.example", "v=DMARC1; p=reject")
    server.put("acme.example", "MX", "10 mx.acme.example.")
    server.put("mx.acme.example", "A", "192.0.2.7")


def verifies(server: DnsServer, message: bytes, index: int) -> bool:
    """By dkimpy, over the records that the server has."""

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        found = server.records.get((name.decode().removesuffix("."), "TXT"))
        return found[0].replace('" "', "").strip('"').encode() if found else None

    return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=txt))


async def caught(customer: Acme, address: str, number: int = 1) -> Captured:
    async with patience():
        while len(found := [mail for mail in customer.catcher.last if mail.recipients == [address]]) < number:
            await asyncio.sleep(0.05)
    return found[number - 1]


@promise("M1")
async def test_campaigns_and_single_messages_of_a_verified_domain_are_signed_by_both_its_keys(tmp_path: Path) -> None:
    async with dns_server() as server, acme(tmp_path, dns=server.address) as customer:
        stub = customer.stub(SendingServiceStub, "sending")
        registered = await stub.RegisterSenderDomain(DOMAIN)
        assert registered.state == D.STATE_UNVERIFIED
        publish(server, registered)
        checked = await stub.CheckSenderDomain(DOMAIN)
        assert checked.state == D.STATE_VERIFIED, checked.checks
        await customer.sign_up("ada@people.example")
        confirmation = await caught(customer, "ada@people.example")
        await customer.http.post(link_in(await customer.mail_to("ada@people.example"), "/c/"), data={"confirm": "yes"})
        assert (await customer.campaign("<p>Grüße</p>")).totals.sent == 1
        message = await caught(customer, "ada@people.example", 2)
        for mail in (confirmation.message, message.message):
            assert verifies(server, mail, 0) and verifies(server, mail, 1)
        assert message.message.isascii(), "whoever passes it on has nothing to encode anew (RFC 6376 §5.3)"
        page = (await customer.mail_to("ada@people.example", 2)).get_body(("html",))
        assert page is not None and "Grüße" in page.get_content()


AWKWARD = (
    "Zoë",
    'Ann "Annie" O\u2019Hara',
    "Иван " * 30,
    "=?utf-8?q?x?=",
    "a" * 300,
    "<b>&amp;</b>",
    "日本 𝄞",
    "\tTab  and  spaces ",
    "{{ name }}",
    "",
)


@promise("M1", "M2")
async def test_every_message_of_a_campaign_verifies_and_is_parsed_without_a_defect(tmp_path: Path) -> None:
    """RFC 6376 §6.1 by dkimpy and RFC 5322 §2.1.1 and §2.2 by the standard library, for people whose names are what names are."""
    async with dns_server() as server, acme(tmp_path, dns=server.address) as customer:
        stub = customer.stub(SendingServiceStub, "sending")
        publish(server, await stub.RegisterSenderDomain(DOMAIN))
        assert (await stub.CheckSenderDomain(DOMAIN)).state == D.STATE_VERIFIED
        people = {f"person{number}@people.example": AWKWARD[number % len(AWKWARD)] for number in range(100)}
        file = io.StringIO()
        csv.writer(file).writerows([("email", "name"), *people.items()])
        await imported(customer, file.getvalue().encode(), list_id=customer.list_id, consent=ATTESTED)
        campaign = await customer.campaign("<p>Grüße, {{ name }}</p>\n" * 40, subject="{{ name }}: the news")
        assert (campaign.totals.sent, campaign.totals.failed) == (100, 0)
        mails = list(customer.catcher.last)
        assert {mail.recipients[0] for mail in mails} == people.keys()
        for mail in mails:
            assert verifies(server, mail.message, 0) and verifies(server, mail.message, 1), people[mail.recipients[0]]
            assert mail.message.partition(b"\r\n\r\n")[0].isascii() and max(map(len, mail.message.split(b"\r\n"))) <= 998
            parsed = email.message_from_bytes(mail.message, policy=email.policy.default)
            assert not [defect for part in parsed.walk() for defect in part.defects]
            assert not [defect for header in parsed.values() for defect in getattr(header, "defects", ())], people[mail.recipients[0]]
