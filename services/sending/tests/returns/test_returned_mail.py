"""Mail that comes back: what it is, about whom, and whether their address is no good."""

from __future__ import annotations

import email
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from postlaw_sending.returns import Returned, classify
from postlaw_sending.returns.arf import mail_from
from postlaw_sending.returns.commands import bounce
from postlaw_sending.returns.reading import LARGEST

DATA = Path(__file__).parent / "data"  # kumomta's, Apache-2.0; expected.json says what they state
EXPECTED: list[dict[str, Any]] = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))

QMAIL = """Return-Path: <>
From: MAILER-DAEMON@mx.example
To: bounce+c1@sender.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<gone@shop.example>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 User unknown
Giving up on 192.0.2.7.

<full@shop.example>:
Remote host said: 552 5.2.2 Mailbox is over quota
Giving up on 192.0.2.7.

--- Below this line is a copy of the message.

Return-Path: <bounce+c1@sender.example>
To: someone@else.example
"""
EXIM = """From: Mail Delivery System <Mailer-Daemon@mx.example>
To: bounce+c1@sender.example
X-Failed-Recipients: gone@shop.example
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.
A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  gone@shop.example
    Unrouteable address
"""
DELAY = """Return-Path: <>
From: Mail Delivery Subsystem <mailer-daemon@mx.example>
Subject: Delivery Status Notification (Delay)

THIS IS A WARNING MESSAGE ONLY.
YOU DO NOT NEED TO RESEND YOUR MESSAGE.
Delivery to the following recipient has been delayed:

     late@shop.example
"""
EXCHANGE = """From: System Administrator <postmaster@corp.example>
To: news@sender.example
Subject: Undeliverable: Spring sale

Your message

  To:      news@sender.example
  Subject: Spring sale

did not reach the following recipient(s):

left@corp.example on Fri, 18 Oct 2024 09:13:24 -0600
    The recipient name is not recognized
"""
VACATION = """From: Ann <ann@shop.example>
To: bounce+c1@sender.example
Subject: Out of office: Spring sale
Auto-Submitted: auto-replied (vacation)

I am away until Monday. If delivery failed for you, write to bob@shop.example.
"""
ORDINARY = [
    "From: Parcels <noreply@parcels.example>\nSubject: Your delivery failed\n\nWe could not deliver your parcel to ann@shop.example.\n",
    "From: Ann <ann@shop.example>\nSubject: Re: Undelivered Mail Returned to Sender\nReferences: <1@x>\n\n<bob@x.example>: user unknown\n",
    "From: Ann <ann@shop.example>\nSubject: Undeliverable\n\nHave you read that novel? Ask bob@shop.example.\n",
    "From: list@lists.example\nList-Id: <mta.lists.example>\nSubject: Delivery failure\n\n<a@b.example>: user unknown, says my log\n",
    "From: Shop <news@shop.example>\nSubject: Message status: your order was returned\n\nYour parcel was returned to sender.\n",
    "From: postmaster@corp.example\nSubject: Maintenance tonight\n\nThe mail servers are away. Questions to ann@corp.example.\n",
    "\n\n",
    "no headers at all",
    "Subject: =?x?q?=\xff\n\n",
]


def seen(returned: Returned) -> list[tuple[str | None, str | None, str | None, str]]:
    return [(one.recipient, one.action, one.status, one.cls) for one in returned.recipients]


@pytest.mark.parametrize("sample", EXPECTED, ids=[sample["file"] for sample in EXPECTED])
def test_reports_in_the_standards_formats_are_read_field_by_field(sample: dict[str, Any]) -> None:
    """RFC 3464 §2.1 and §2.3, with addresses as §2.1.2 has them; RFC 5965 §3."""
    returned = classify((DATA / sample["file"]).read_bytes())
    assert returned.kind == sample["kind"]
    if sample["kind"] == "dsn":
        stated = [(one["final_recipient"], one["action"], one["status"]) for one in sample["recipients"]]
        assert [one[:3] for one in seen(returned)] == stated
    else:
        assert [one.cls for one in returned.recipients] == ["complaint"]
        named = sample["arf"]["original_rcpt_to"] or [None]
        assert [one.recipient for one in returned.recipients] == named


def test_of_the_samples_only_those_whose_address_is_no_good_are_hard() -> None:
    found = {sample["file"]: [one.cls for one in classify((DATA / sample["file"]).read_bytes()).recipients] for sample in EXPECTED}
    assert found == {
        "rfc3464/1.eml": ["soft"],  # 426 connection timed out
        "rfc3464/2.eml": ["hard", "soft", "hard"],  # not a registered user; delayed; user unknown
        "rfc3464/3.eml": ["hard"],  # no matching directory entry, in the prose alone
        "rfc3464/4.eml": ["soft"],  # delayed
        "rfc3464/5.eml": ["soft"],  # over quota
        "rfc3464/6.eml": ["hard"],  # 550 5.4.1, as Exchange Online refuses unknown recipients
        "rfc3464/obsolete_arrival_date.eml": ["hard"],
        **{f"rfc5965/{number}.eml": ["complaint"] for number in (1, 2, 3, 4)},
    }


@pytest.mark.parametrize(
    ("mail", "recipients"),
    [
        (QMAIL, [("gone@shop.example", "failed", "5.1.1", "hard"), ("full@shop.example", "failed", "5.2.2", "soft")]),
        (EXIM, [("gone@shop.example", "failed", None, "hard")]),
        (DELAY, [("late@shop.example", "delayed", None, "soft")]),
        (EXCHANGE, [("left@corp.example", "failed", None, "hard")]),
    ],
)
def test_bounces_told_in_prose_name_their_recipients(mail: str, recipients: list[tuple[str | None, str | None, str | None, str]]) -> None:
    returned = classify(mail.encode())
    assert (returned.kind, seen(returned)) == ("dsn", recipients)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "Relayed (to mx2)"])
def test_a_report_of_success_is_no_bounce(action: str) -> None:
    """RFC 3464 §2.3.3."""
    returned = classify((DATA / "rfc3464/1.eml").read_bytes().replace(b"Action: failed", f"Action: {action}".encode()))
    assert {one.cls for one in returned.recipients} == {"none"}


def test_the_return_path_of_a_complaint_is_read_wherever_it_may_stand() -> None:
    """RFC 5965 §3.2."""
    report = (
        b'Content-Type: multipart/report; report-type=feedback-report; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nOriginal-Mail-From: <one@r.example>\r\n\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nReturn-Path: <two@r.example>\r\nSubject: Hi\r\n\r\nHi\r\n--x--\r\n"
    )
    assert mail_from(list(email.message_from_bytes(report).walk())) == ["one@r.example", "two@r.example"]


def test_an_automatic_reply_is_no_bounce_whatever_it_tells() -> None:
    """RFC 3834."""
    assert classify(VACATION.encode()) == Returned("auto-reply")


@pytest.mark.parametrize("mail", ORDINARY)
def test_ordinary_mail_is_none(mail: str) -> None:
    assert classify(mail.encode("utf-8", "surrogateescape")) == Returned("none")


@given(st.binary(max_size=2000), st.sampled_from([QMAIL, EXIM, EXCHANGE]), st.integers(0, 900))
def test_no_mail_is_too_malformed_to_be_read(noise: bytes, mail: str, at: int) -> None:
    data = mail.encode()
    classify(noise)
    classify(data[:at] + noise + data[at:])


def test_a_mail_of_twenty_megabytes_and_one_of_a_thousand_layers_are_read_as_far_as_it_makes_sense() -> None:
    assert classify(QMAIL.encode() + b"x" * 20_000_000).kind == "dsn"
    layers = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000))
    assert classify(b"Subject: deep\n" + layers).kind == "none"
    assert LARGEST <= 1 << 20


def test_the_command_prints_a_line_for_each_mail(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_text(QMAIL, encoding="utf-8")
    (tmp_path / "b.eml").write_text(ORDINARY[0], encoding="utf-8")
    run = CliRunner().invoke(bounce, ["classify", str(tmp_path), str(tmp_path / "missing.eml"), "--json"])
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["a.eml", "b.eml"]
    assert lines[0]["kind"] == "dsn" and lines[1] == {"file": str(tmp_path / "b.eml"), "kind": "none", "recipients": []}
    assert lines[0]["recipients"][0] == {"recipient": "gone@shop.example", "action": "failed", "status": "5.1.1", "class": "hard"}
    assert (run.exit_code, "missing.eml" in run.stderr) == (1, True)
