"""Whoever shows a mail hears whether it is ours, and why its person got it: by DKIM keys and hand-overs that the log has, and by nothing
else."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_audit.evidence import mail as checking
from postlaw_common.errors import NotFound
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.promises import promise
from postlaw_sending.domains.key_pairs import KeyPair, new_ed25519, new_rsa
from postlaw_sending.messages.dkim import DkimKey, signed
from services.audit.tests.evidence_made import ANN, BEN, asked, checked, happened, log_of, stub_of
from services.sending.tests.messages.compiled import CAMPAIGN, SUBSCRIBER, Person, campaign

NOW, DAY = 1_900_000_000, 24 * 3600
OURS, NEXT, THEIRS, ED25519 = new_rsa(), new_rsa(), new_rsa(), new_ed25519()
ADA = Person(address="ann@example.com", fields={"name": "Ann"})
Key = sending.DkimPublicKey


def domain(version: int, *keys: Key, name: str = "blumen.example", tenant_id: str = "") -> tuple[str, str, Any]:
    told = sending.SenderDomainChanged(domain=name, version=version, keys=keys, tenant_id=tenant_id)
    return "postlaw.sending.SenderDomainChanged", "", told


def key(selector: str, pair: KeyPair, published: int = 0, superseded: int = 0) -> Key:
    return Key(
        selector=selector, record=pair.record, made_at_us=1, published_at_us=published * 1_000_000, superseded_at_us=superseded * 1_000_000
    )


def settled(campaign_id: str, at: int, *ids: str) -> tuple[str, str, Any]:
    told = sending.BatchSettled(
        campaign_id=campaign_id, address_keys=[BEN, ANN], subscriber_ids=ids, states=b"\3\2", reasons=[1, 0],
        reason_texts=["no consent"], started_at_us=at * 1_000_000, handed_over_after_us=[0, 250],
    )  # fmt: skip
    return "postlaw.sending.BatchSettled", "", told


def broken() -> tuple[str, str, Any]:
    """What should tell of the domain's keys, and cannot be read."""
    told = SimpleNamespace(tenant_id="", domain="blumen.example", SerializeToString=lambda: b"\xff\xff\xff")
    return "postlaw.sending.SenderDomainChanged", "", told


def events() -> list[tuple[str, str, Any]]:
    return [
        domain(1, key("pl1", OURS)),
        domain(2, key("pl1", OURS, NOW - DAY), key("pl1e", ED25519, NOW - DAY)),
        broken(),
        domain(1, key("pl1", THEIRS, NOW - DAY), name="other.example", tenant_id="ten_2"),
        *(event for event in happened() if event[0] != "postlaw.sending.BatchSettled"),
        settled("msg_06d3k5yznp1w9r8g7f6e5d4c3d", NOW + 60, "", ""),  # a single message, while the campaign went out
        settled(CAMPAIGN, NOW, "sub_b", SUBSCRIBER),
        settled("msg_06d3k5yznp1w9r8g7f6e5d4c3b", NOW + 5 * DAY, "", ""),
        domain(3, key("pl1", OURS, NOW - DAY, NOW + DAY), key("pl1e", ED25519, NOW - DAY), key("pl2", NEXT, NOW + DAY)),
    ]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    async with log_of(tmp_path, events()) as made:
        yield made


def message(
    *, to: Person = ADA, at: int = NOW, pair: KeyPair = OURS, name: str = "blumen.example", selector: str = "pl1", of: str = CAMPAIGN
) -> bytes:
    keys = [DkimKey(pair.private, name, selector), DkimKey(ED25519.private, name, "pl1e")]
    return signed(campaign(subject="Hello, and welcome to the news " * 5, campaign_id=of).render(to), keys, lambda: at)


def header_of(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[0]


def single(at: int, to: bytes = b"ann@example.com") -> bytes:
    text = (
        b"From: <post@blumen.example>\r\nTo: <%b>\r\nSubject: Please confirm\r\nDate: Wed, 01 Jan 2020 10:00:00 +0000\r\n"
        b"Message-ID: <06d3k5yznp1w9r8g7f6e5d4c3a@blumen.example>\r\n\r\nYes?\r\n" % to
    )
    return signed(text, [DkimKey(NEXT.private, "blumen.example", "pl2")], lambda: at)


def sent_on(
    *mails: bytes, kind: str = "message/rfc822", named: str = "", encoding: str = "7bit", of: str = "mixed", says: bool = True
) -> bytes:
    """As a mail program sends mails on as attachments: one that is nobody's here, around them."""
    head = f"\r\nContent-Type: {kind}{named}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() if says else b"\r\n\r\n"
    coded = {"7bit": bytes, "base64": base64.encodebytes, "quoted-printable": lambda mail: binascii.b2a_qp(mail, istext=False)}[encoding]
    boundary = f"--=_{len(mails)}_{sum(map(len, mails))}".encode()
    text = boundary + b"\r\n\r\nLook at this.\r\n" if says else b""
    parts = b"".join(boundary + head + coded(mail) + b"\r\n" for mail in mails)
    return (
        b"From: <eve@elsewhere.example>\r\nTo: <complaints@blumen.example>\r\nSubject: Fwd: Hello\r\nMessage-ID: <1@elsewhere.example>\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/%b;\r\n boundary="%b"\r\n\r\nThis is MIME.\r\n%b%b--\r\nbye\r\n'
        % (of.encode(), boundary[2:], text + parts, boundary)
    )


def nested(mail: bytes, depth: int) -> bytes:
    return mail if depth == 0 else sent_on(nested(mail, depth - 1))


OUR_MAIL = message()
SHOWN_AS_OURS = {
    "as it came": OUR_MAIL,
    "with other line ends, behind a mailbox's line": b"From MAILER Thu Jan  1 00:00:00 1970\n" + OUR_MAIL.replace(b"\r\n", b"\n"),
    "with what servers on its way put on top": b"Received: by mx (x)\r\n\tfor <ann@example.com>\r\nX-N\xe4me: \xff\xfe\r\n" + OUR_MAIL,
    "with signatures of others on top": b"DKIM-Signature: v=1; a=rsa-sha256; d=relay.example; s=x; bh=; b=AA==; h=from\r\n" + OUR_MAIL,
    "its header folded anew": OUR_MAIL.replace(b"Subject: Hello, and", b"Subject: Hello,\r\n\tand", 1),
    "its header alone": header_of(OUR_MAIL),
    "its header alone, behind a mark of UTF-8": b"\xef\xbb\xbf" + header_of(OUR_MAIL) + b"\n\n",
    "signed by the key before, while the next is taken up": message(at=NOW + 2 * DAY),
}
NOBODYS = b"From: <eve@elsewhere.example>\r\nSubject: Lunch?\r\n\r\nAt noon.\r\n"
SENT_ON_AS_OURS = {
    "as an attachment": sent_on(OUR_MAIL),
    "twice": nested(OUR_MAIL, 2),
    "behind others": sent_on(NOBODYS, OUR_MAIL.replace(b"spring", b"autumn"), OUR_MAIL),
    "with other line ends": sent_on(OUR_MAIL).replace(b"\r\n", b"\n"),
    "encoded, which is not allowed": sent_on(OUR_MAIL, encoding="base64"),
    "encoded in the other way": sent_on(OUR_MAIL, encoding="quoted-printable"),
    "as a file": sent_on(OUR_MAIL, kind="application/octet-stream", named='; name="Hello, and.EML"', encoding="base64"),
    "as a file whose name is none in plain letters": sent_on(
        bytes(300), OUR_MAIL, kind="application/octet-stream", named='; name="=?utf-8?B?R3LDvMOfZS5lbWw=?="', encoding="base64"
    ),
    "in a digest": sent_on(NOBODYS, OUR_MAIL, of="digest", says=False),
    "by its header, in a report of non-delivery": sent_on(header_of(OUR_MAIL), kind="text/rfc822-headers", of="report"),
}
ALTERED, FORGED, STRANGER = "its body is not", "its header is not", "no signature of a key that was ever yours"
NOT_OURS = {
    "altered": (OUR_MAIL.replace(b"spring", b"autumn"), ALTERED),
    "cut off": (OUR_MAIL[:-200], ALTERED),
    "something added": (OUR_MAIL + b"buy!\r\n", ALTERED),
    "another subject": (OUR_MAIL.replace(b"Subject: Hello", b"Subject: Goodbye", 1), FORGED),
    "another recipient": (OUR_MAIL.replace(b"To: <ann@", b"To: <eve@", 1), FORGED),
    "a second From": (b"From: <eve@evil.example>\r\n" + OUR_MAIL, "twice"),
    "a header cut off": (header_of(OUR_MAIL)[: header_of(OUR_MAIL).rindex(b"Message-ID")], "or not at all"),
    "signed by a stranger in our name": (message(pair=THEIRS), FORGED),
    "a key of no such name": (message(selector="pl9"), STRANGER),
    "another customer's": (message(pair=THEIRS, name="other.example"), STRANGER),
    "a stranger's domain": (message(pair=THEIRS, name="evil.example"), STRANGER),
    "no signature": (OUR_MAIL[OUR_MAIL.index(b"From: ") :], "no DKIM signature"),
    "before the key was in use": (message(at=NOW - 2 * DAY), "before that key"),
    "long after the key was replaced": (message(at=NOW + 9 * DAY), "after that key"),
    "never handed over": (message(to=replace(ADA, subscriber_id="sub_01m84s6mfrfwvr1ynydrhx3000")), "no hand-over"),
    "of another campaign, while a single message went": (message(of="cmp_01m84s6memev1rrrm3cf6xsn99"), "no hand-over"),
    "to somebody else": (message(to=replace(ADA, address="eve@example.com")), "no hand-over"),
    "of no hour at which a single message went": (single(NOW + 4 * DAY), "no hand-over"),
    "no octets": (b"", "no DKIM signature"),
    "no mail": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no DKIM signature"),
    "sent on altered": (sent_on(NOBODYS, OUR_MAIL.replace(b"spring", b"autumn")), "is (3 mails); of the nearest: " + ALTERED),
    "sent on and never handed over": (sent_on(message(to=replace(ADA, subscriber_id="sub_01m84s6mfrfwvr1ynydrhx3000"))), "no hand-over"),
    "of strangers, sent on": (sent_on(NOBODYS, message(pair=THEIRS, name="evil.example")), "(3 mails); of the nearest: it bears no DKIM"),
    "sent on too often": (nested(OUR_MAIL, 5), "is (5 mails); of the nearest: it bears no DKIM"),
    "too many mails": (sent_on(*[NOBODYS] * 40, OUR_MAIL), "is (20 mails); of the nearest: it bears no DKIM"),
    "a mail inside what is no mail": (OUR_MAIL[OUR_MAIL.index(b"From: ") :] + sent_on(OUR_MAIL), "no DKIM signature"),
    "sent on with more than is looked through": (sent_on(bytes(checking.LARGEST), OUR_MAIL), "show that alone"),
    "parts without end": (sent_on(*[b""] * 5_000, OUR_MAIL, kind="text/plain"), "no DKIM signature"),
    "signatures without end": (b"DKIM-Signature: v=1\r\n" * 60 + OUR_MAIL, "more than 50"),
    "a header without end": (b"X: y\r\n" * 60_000 + OUR_MAIL, "its header is larger"),
    "more than 5 MB": (OUR_MAIL + b"x" * (6 << 20), "larger than any mail"),
    "a signature over less": (OUR_MAIL.replace(b"c=relaxed/relaxed;", b"c=relaxed/relaxed; l=0;", 1), "none as they are made here"),
    "a signature that is no base 64": (re.sub(rb" b=[^:]*?\r\nDKIM", b" b=A\r\nDKIM", OUR_MAIL, count=1, flags=re.DOTALL), "base64"),
}  # fmt: skip


@promise("A1", "G1")
async def test_a_mail_is_ours_by_a_key_and_a_hand_over_of_the_log_or_it_is_said_why_not(running: Mesh) -> None:
    stub = stub_of(running)
    for name, mail in SHOWN_AS_OURS.items():
        told = await stub.AnswerEvidence(audit.GetEvidenceRequest(mail=mail))
        assert (told.mail.ours, told.mail.reason) == (True, ""), name
        assert (told.mail.domain, told.mail.selector, told.mail.campaign_id) == ("blumen.example", "pl1", CAMPAIGN), name
        assert told.mail.body_checked == ("header alone" not in name), name
        assert ("handed_over", told.mail.delivery_index) in [(one.what, one.index) for one in told.why_mailed], name
    for name, mail in SENT_ON_AS_OURS.items():
        told = await stub.AnswerEvidence(audit.GetEvidenceRequest(mail=mail))
        assert (told.mail.ours, told.mail.attached, told.mail.campaign_id) == (True, True, CAMPAIGN), (name, told.mail.reason)
        assert told.mail.body_checked == ("its header" not in name), name
    for name, (mail, reason) in NOT_OURS.items():
        told = await stub.AnswerEvidence(audit.GetEvidenceRequest(mail=mail))
        assert (told.mail.ours, reason in told.mail.reason, told.mail.reason != "") == (False, True, True), (name, told.mail.reason)
        assert not told.why_mailed and not told.address_key, name
        with pytest.raises(NotFound) as refused:
            await asked(running, mail=mail)
        assert refused.value.type == "not-ours", name
    of_a_single = await stub.AnswerEvidence(audit.GetEvidenceRequest(mail=single(NOW + 5 * DAY)))
    assert (of_a_single.mail.ours, of_a_single.mail.campaign_id) == (True, "msg_06d3k5yznp1w9r8g7f6e5d4c3b")
    for_another = await stub_of(running, "ten_2").AnswerEvidence(audit.GetEvidenceRequest(mail=OUR_MAIL))
    assert (for_another.mail.ours, STRANGER in for_another.mail.reason) == (False, True)


@promise("A1", "A3", "G1")
async def test_the_bundle_of_a_mail_shows_by_python_alone_that_it_is_ours(running: Mesh, tmp_path: Path) -> None:
    files = await asked(running, mail=OUR_MAIL)
    at = tmp_path / "bundle"
    done = checked(files, at, files["log.vkey"].decode())
    assert done.returncode == 0, done.stderr
    facts = json.loads(files["evidence.json"])["facts"]
    assert {fact["type"] for fact in facts} >= {"postlaw.sending.SenderDomainChanged", "postlaw.sending.BatchSettled"}
    (tmp_path / "ours.eml").write_bytes(OUR_MAIL)
    (tmp_path / "altered.eml").write_bytes(OUR_MAIL.replace(b"spring", b"autumn"))
    by_file, by_header = checked({}, at, str(tmp_path / "ours.eml"), program="mail.py"), checked({}, at, program="mail.py")
    assert (by_file.returncode, by_file.stdout[:22]) == (0, "ours: header and body "), by_file.stderr
    assert (by_header.returncode, by_header.stdout[:17]) == (0, "ours: the header "), by_header.stderr
    altered = checked({}, at, str(tmp_path / "altered.eml"), program="mail.py")
    assert (altered.returncode, altered.stderr.strip()) == (1, "NOT OURS: its body is not what was signed: altered, or cut off")
    account = files["account.txt"].decode()
    assert "THE MAIL THAT WAS SHOWN\n  Ours: <" in account
    assert "The key pl1 was in use from 2030-03-16 17:46:40.000000 UTC to 2030-03-18 17:46:40.000000 UTC, when another took over" in account
    assert b"<h2>The mail that was shown</h2>" in files["account.html"]


@promise("A1", "A3", "G1")
async def test_a_mail_that_was_sent_on_is_in_the_bundle_without_whoever_sent_it_on(running: Mesh, tmp_path: Path) -> None:
    complaint = nested(OUR_MAIL, 2)
    files = await asked(running, mail=complaint)
    assert "It lay in the mail that was shown; of that one nothing is said." in files["account.txt"].decode()
    assert not [name for name, data in files.items() if b"elsewhere.example" in data]
    at = tmp_path / "bundle"
    assert checked(files, at, files["log.vkey"].decode()).returncode == 0
    (tmp_path / "complaint.eml").write_bytes(complaint)
    (tmp_path / "altered.eml").write_bytes(nested(OUR_MAIL.replace(b"spring", b"autumn"), 1))
    by_file, by_header = checked({}, at, str(tmp_path / "complaint.eml"), program="mail.py"), checked({}, at, program="mail.py")
    assert (by_file.returncode, by_file.stdout[:22]) == (0, "ours: header and body "), by_file.stderr
    assert by_header.returncode == 0, by_header.stderr
    altered = checked({}, at, str(tmp_path / "altered.eml"), program="mail.py")
    nearest = (
        "NOT OURS: neither it nor what is attached to it is (2 mails); of the nearest: its body is not what was signed: altered, or cut off"
    )
    assert (altered.returncode, altered.stderr.strip()) == (1, nearest)


def test_what_checks_a_mail_is_short_enough_to_be_read_and_needs_nothing() -> None:
    source = Path(checking.__file__).read_text().splitlines()
    assert len(source) <= 270
    assert not any(line.startswith(("from postlaw", "import postlaw")) for line in source)
