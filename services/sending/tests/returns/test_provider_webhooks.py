"""What providers report by HTTPS: believed where it is signed as each of them signs, about messages of ours alone, and once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.errors import Denied, NotFound
from postlaw_common.testing.promises import promise
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.notices import Source
from postlaw_sending.returns.people import About, People
from postlaw_sending.returns.webhooks.reports import notices_in
from postlaw_sending.returns.webhooks.signatures import of_sns
from postlaw_sending.returns.webhooks.taking import Secrets, TakeReports
from postlaw_sending.singles.domain import SentSingle
from services.sending.tests.messages.compiled import CAMPAIGN, Person, campaign, parsed
from services.sending.tests.returns.played import PATH, PATHS, SENT, Outside, acting, opened, received_in

NOW_S = 1_800_000_000
TOPIC, CERTIFICATE = "arn:aws:sns:eu-west-1:1:bounces", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
MESSAGE_ID = f"<{CAMPAIGN.removeprefix('cmp_')}.01m84s6mfrfwvr1ynydrhx30pw@blumen.example>"
SENDGRID_KEY, SNS_KEY = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
Signed = tuple[dict[str, str], bytes]


def mailgun(event: dict[str, Any], *, key: str = "secret", at_s: int = NOW_S) -> Signed:
    signature = hmac.new(key.encode(), f"{at_s}token".encode(), hashlib.sha256).hexdigest()
    return {}, json.dumps({"signature": {"timestamp": str(at_s), "token": "token", "signature": signature}, "event-data": event}).encode()


def sendgrid(*events: dict[str, Any], at_s: int = NOW_S) -> Signed:
    body = json.dumps(events).encode()
    signature = base64.b64encode(SENDGRID_KEY.sign(str(at_s).encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "x-twilio-email-event-webhook-"
    return {name + "timestamp": str(at_s), name + "signature": signature}, body


def postmark(report: dict[str, Any]) -> Signed:
    return {"authorization": "Basic " + base64.b64encode(b"us:pass").decode()}, json.dumps(report).encode()


def ses(message: dict[str, Any], **changed: str) -> Signed:
    body = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": json.dumps(message),
        "Timestamp": "2027-01-15T08:00:00Z",
    }
    body |= {"SignatureVersion": "2", "SigningCertURL": CERTIFICATE} | changed
    said = "".join(f"{name}\n{body[name]}\n" for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type"))
    body["Signature"] = base64.b64encode(SNS_KEY.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    return {}, json.dumps(body).encode()


def certificate(url: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(SNS_KEY.public_key()).serial_number(1)
    made = made.not_valid_before(start).not_valid_after(start + timedelta(days=999))
    return made.sign(SNS_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def secrets() -> Secrets:
    public = SENDGRID_KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Secrets((TOPIC,), base64.b64encode(public).decode(), "us:pass", "secret")


def ses_bounce(kind: str = "Permanent", status: str = "5.1.1") -> dict[str, Any]:
    recipient = {"emailAddress": "a@b.example", "status": status, "diagnosticCode": "smtp; 550 user unknown" if status[0] == "5" else ""}
    return {
        "notificationType": "Bounce",
        "mail": {"source": PATH},
        "bounce": {"feedbackId": "f1", "bounceType": kind, "bouncedRecipients": [recipient]},
    }


MAILGUN_BOUNCE = {
    "event": "failed",
    "severity": "permanent",
    "id": "m1",
    "recipient": "a@b.example",
    "message": {"headers": {"message-id": MESSAGE_ID.strip("<>")}},
    "delivery-status": {"code": 550, "message": "5.1.1 The email account that you tried to reach does not exist"},
}
SENDGRID_BOUNCE = {
    "event": "bounce", "type": "bounce", "email": "a@b.example", "smtp-id": MESSAGE_ID, "sg_event_id": "s1", "status": "5.1.1",
    "reason": "unknown",
}  # fmt: skip
POSTMARK_COMPLAINT = {"RecordType": "SpamComplaint", "ID": 7, "Email": "a@b.example", "Content": f"Return-Path: <{PATH}>\r\n"}


@pytest.mark.parametrize(
    ("provider", "signed", "act"),
    [
        ("ses", ses(ses_bounce()), "bounced"),
        ("ses", ses({"eventType": "Complaint", "mail": {"commonHeaders": {"messageId": MESSAGE_ID}}, "complaint": {
            "feedbackId": "f2", "complainedRecipients": [{"emailAddress": "a@b.example"}]}}), "complained"),
        ("ses", ses(ses_bounce("Transient", "4.4.7")), None),
        ("sendgrid", sendgrid(SENDGRID_BOUNCE, {"event": "open"}, {"event": "bounce", "smtp-id": "<another@x.example>"}), "bounced"),
        ("sendgrid", sendgrid(SENDGRID_BOUNCE | {"type": "blocked"}), None),
        ("sendgrid", sendgrid(SENDGRID_BOUNCE | {"event": "spamreport"}), "complained"),
        ("postmark", postmark(POSTMARK_COMPLAINT), "complained"),
        ("mailgun", mailgun(MAILGUN_BOUNCE), "bounced"),
        ("mailgun", mailgun(MAILGUN_BOUNCE | {"severity": "temporary"}), None),
    ],
)  # fmt: skip
@promise("M6")
async def test_a_proved_report_is_acted_on_once_as_a_mail_that_comes_back(
    provider: str, signed: Signed, act: str | None, tmp_path: Path
) -> None:
    async with opened(tmp_path) as store:
        outside, received = Outside(), received_in(store)
        take = TakeReports(secrets(), received, PATHS.read, lambda: None, certificate)
        for _ in range(2):
            assert await take(provider, *signed) == 1
            await acting(store, outside).act()
        assert list(outside.acts.values()) == ([act] if act else [])
        assert len(outside.events) == 1


@pytest.mark.parametrize(
    ("provider", "signed"),
    [
        ("mailgun", mailgun(MAILGUN_BOUNCE, key="guessed")),
        ("mailgun", mailgun(MAILGUN_BOUNCE, at_s=NOW_S - 301)),
        ("sendgrid", (sendgrid(SENDGRID_BOUNCE)[0], sendgrid(SENDGRID_BOUNCE | {"email": "x@y.example"})[1])),
        ("sendgrid", sendgrid(SENDGRID_BOUNCE, at_s=NOW_S - 86_401)),
        ("postmark", ({}, postmark(POSTMARK_COMPLAINT)[1])),
        ("ses", ses(ses_bounce(), TopicArn="arn:aws:sns:eu-west-1:2:mine")),
        ("ses", ses(ses_bounce(), SigningCertURL="https://sns.eu-west-1.amazonaws.com.evil.example/a.pem")),
        ("ses", ses(ses_bounce(), SignatureVersion="1")),
        ("ses", ({}, ses(ses_bounce())[1].replace(b"5.1.1", b"5.1.2"))),
        ("ses", ses(ses_bounce(), SigningCertURL="https://[")),
        ("ses", ({}, b"[" * 100_000)),
        ("mailgun", ({}, b'{"signature": {"timestamp": "1", "token": "\\ud800", "signature": "\\ud800"}}')),
    ],
)
@promise("M6")
async def test_a_report_that_is_not_the_providers_stops_nobody(provider: str, signed: Signed, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        received = received_in(store)
        for trusted in (secrets(), Secrets()):
            with pytest.raises(Denied):
                await TakeReports(trusted, received, PATHS.read, lambda: None, certificate)(provider, *signed)
        with pytest.raises(NotFound):
            await TakeReports(secrets(), received, PATHS.read, lambda: None, certificate)("smtp", *signed)
        assert [mail async for mail in received.waiting()] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.html",
    ],
)
def test_a_certificate_comes_from_amazons_own_host_alone(url: str) -> None:
    assert not of_sns(url) and of_sns(CERTIFICATE)


NAMES = st.sampled_from(["mail", "bounce", "event", "event-data", "Content", "RecordType"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.sampled_from(["ses", "sendgrid", "postmark", "mailgun"]), JSON)
def test_no_report_is_too_malformed_to_be_read(source: Source, report: Any) -> None:
    assert notices_in(source, report, PATHS.read) == []


def test_a_message_is_told_by_return_path_before_message_id() -> None:
    [notice] = notices_in("mailgun", {"event-data": MAILGUN_BOUNCE | {"envelope": {"sender": PATH}}}, PATHS.read)
    assert (notice.sent, notice.cls, notice.status) == (SENT, "hard", "5.1.1")


SINGLE = "sgl_01m84s6memev1rrrm3cf6xsn99"


@pytest.mark.parametrize("subject", ["Your order", "Order of {{ name | upper }}"])  # made in one piece, and by the template engine
@promise("M6")
def test_a_report_names_a_single_message_in_a_customers_words_and_no_campaign(subject: str) -> None:
    message = parsed(campaign(subject=subject, campaign_id=SINGLE).render(Person(fields={"name": "Ada"})))
    headers = {"message-id": str(message["Message-ID"]).strip("<>")}
    [notice] = notices_in("mailgun", {"event-data": MAILGUN_BOUNCE | {"message": {"headers": headers}}}, PATHS.read)
    assert notice.sent == SentMessage(SINGLE, b"")


@promise("M6")
async def test_a_single_message_whose_id_looks_like_a_campaigns_is_found_all_the_same() -> None:
    """As those of customers' words did."""

    async def no_campaign(id: str) -> None:
        return None

    async def single(id: str) -> SentSingle | None:
        return SentSingle("ten_1", SINGLE, "", b"key") if id == SINGLE else None

    def unused(*_: Any) -> Any:
        raise AssertionError("nobody else is asked")

    people = People(unused, unused, no_campaign, single)
    looks_so = SentMessage(SINGLE.replace("sgl", "cmp"), b"")
    assert await people.of_message(looks_so, "a@b.example") == About("ten_1", SINGLE, "", b"key", "")
    assert await people.of_message(looks_so._replace(campaign_id="cmp_" + "0" * 26), "a@b.example") is None
    assert await people.of_message(looks_so._replace(person=b"person"), "a@b.example") is None  # a return path proves its kind
