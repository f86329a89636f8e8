"""What receivers write, and whether it means that the address is no good."""

from __future__ import annotations

import pytest

from postlaw_sending.returns.causes import class_of

HARD = """
550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos
550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).
550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient example@contoso.com not found by SMTP address lookup
550 5.4.1 Recipient address rejected: Access denied. AS(201806281)
554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] - mta1234.mail.gq1.yahoo.com
554 30 Sorry, your message to x@att.net cannot be delivered. This mailbox is disabled (554.30).
550 5.2.1 The email account that you tried to reach is disabled
550-5.2.1 The email account that you tried to reach is inactive.
552 1 Requested mail action aborted, mailbox not found
550 Unrouteable address
550 5.1.2 <x@y.example>: Recipient address rejected: Domain not found
DNS Error: DNS type 'mx' lookup of example.invalid responded with code NXDOMAIN
Host or domain name not found. Name service error for name=example.invalid type=A: Host not found
550 No Such User Here
550 Invalid recipient <x@y.z>
550 5.1.1 <x@y.z>: Recipient address rejected: User unknown in virtual mailbox table
550 5.1.1 <x@y.z>: Recipient address rejected: User unknown in relay recipient table
550-5.1.1 unknown or illegal alias
550 <x@y.z>: Recipient address rejected: User unknown
550 5.7.1 No such user!
550 x@y.z... No such user here
550 5.0.0 <x@y.z>... User unknown
550 Address rejected
501 5.1.3 Bad recipient address syntax
550 #5.1.0 Address rejected.
550 Mailbox not found
550 Requested action not taken: mailbox unavailable
550 5.1.1 User does not exist
553 5.3.0 <x@y.z>... No such user
550 5.1.1 recipient unknown
550 The account does not exist
550 user not found
550 account has been disabled
554 5.7.1 <x@y.z>: Recipient address rejected: user x@y.z does not exist
550 5.4.310 DNS domain example.invalid does not exist
smtp;550 5.1.351 Remote server returned unknown recipient or mailbox unavailable
550 5.1.6 recipient no longer on server
550 Unknown User
550 permanent failure for one or more recipients (x@y.z:550 5.1.1 User unknown)
550 This recipient address is no longer in use
"""
SOFT = """
552-5.2.2 The email account that you tried to reach is over quota. Please direct the recipient to
452-4.2.2 The email account that you tried to reach is over quota
552 5.2.2 The recipient's inbox is out of storage space and inactive
550 5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message
554 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using zen.spamhaus.org
550 SC-001 Unfortunately, messages from 192.0.2.7 weren't sent, since part of their network is on our block list
421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to user complaints
550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy.
452 4.3.1 Insufficient system storage
554 5.3.4 Message too big for system
552 5.3.4 message size exceeds fixed limit
550 5.7.509 Access denied, sending domain does not pass DMARC verification
550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required
554 5.4.6 Hop count exceeded - possible mail loop
550 5.4.316 Message expired, connection refused
451 4.7.1 Greylisting in action, please come back later
450 4.1.1 <x@y.z>: Recipient address rejected: unverified address: connect to y.z timed out
550 5.7.1 Unable to relay for x@y.z
554 5.7.1 <x@y.z>: Relay access denied
550 Sender verify failed
550 <our@x.example>: Sender address rejected: User unknown in virtual mailbox table
553 5.1.8 Sender address rejected: Domain not found
554 Message refused
554 5.7.1 Message rejected as spam by Content Filtering.
550 High probability of spam
550 5.7.1 Message rejected due to local policy
554 rejected due to virus
421 Too many connections
421 4.4.2 Connection dropped
conversation with mx.example timed out while sending RCPT TO
connect to mx.example[1.2.3.4]:25: Connection refused
550 Mailbox full
552 Mailbox is full
554 5.2.2 mailbox full
550 5.7.0 Local Policy Violation
550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy
550 Blocked by SpamAssassin
554 5.7.9 Message not accepted for policy reasons
550 5.7.1 Rejected by header based Anti-Spoofing policy
4.4.7 Message expired: unable to deliver in 840 minutes
550 Administrative prohibition
550 Rejected
554 Transaction failed
"""


@pytest.mark.parametrize("status", [None, "5.0.0"])
@pytest.mark.parametrize("said", HARD.strip().splitlines())
def test_an_address_that_is_no_good_is_hard(said: str, status: str | None) -> None:
    assert class_of(status, said) == "hard"


@pytest.mark.parametrize("status", [None, "5.0.0"])
@pytest.mark.parametrize("said", SOFT.strip().splitlines())
def test_whatever_may_be_the_moment_or_the_sender_is_soft(said: str, status: str | None) -> None:
    """A person taken for gone is lost for good."""
    assert class_of(status, said) == "soft"


@pytest.mark.parametrize(
    ("status", "said", "cls"),
    [
        ("5.1.1", "", "hard"),
        ("5.1.2", "", "hard"),
        ("5.2.2", "", "soft"),
        ("5.7.1", "", "soft"),
        ("4.1.1", "user unknown", "soft"),  # it may be one by one: a receiver that answers 4xx says so itself
        ("5.0.0", "", "soft"),
        ("5.0.0", "smtp; 550", "hard"),
        ("5.1.1", "450 4.7.1 try again later", "soft"),  # of two minds: the milder
    ],
)
def test_the_code_decides_where_the_words_do_not(status: str, said: str, cls: str) -> None:
    """RFC 3463."""
    assert class_of(status, said) == cls
