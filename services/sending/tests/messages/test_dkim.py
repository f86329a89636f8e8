"""DKIM signatures, held against a verifier that is not ours (dkimpy)."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_sending.domains.key_pairs import new_ed25519, new_rsa
from postlaw_sending.messages.dkim import DkimKey, relaxed_body, signed
from services.sending.tests.messages.compiled import Person, campaign, parsed

NOW = 1_700_000_000
RSA, ED25519 = new_rsa(), new_ed25519()
RECORDS = {b"r._domainkey.blumen.example.": RSA.record.encode(), b"e._domainkey.blumen.example.": ED25519.record.encode()}
KEYS = [DkimKey(RSA.private, "blumen.example", "r"), DkimKey(ED25519.private, "blumen.example", "e")]


def txt(name: bytes, timeout: int = 5) -> bytes | None:
    return RECORDS.get(name)


def verifies(message: bytes, index: int) -> bool:
    """Whether the signature at this place, from the top, holds."""
    try:
        return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=txt))
    except dkim.ValidationError:  # so it says that the body is another
        return False


def message(html: str = "<p>Dear  {{ name }}\t</p>\n\n\n") -> bytes:
    compiled = campaign(html=html, subject="Grüße an {{ name }}, " + "und noch etwas " * 9)
    return signed(compiled.render(Person(fields={"name": "Ada"})), KEYS, lambda: NOW)


@promise("M1")
def test_both_signatures_of_a_campaigns_message_verify_and_rsa_stands_first() -> None:
    """RFC 6376 §3.7 and RFC 8463 §3, as dkimpy has them."""
    made = message()
    assert verifies(made, 0) and verifies(made, 1)
    first, second = parsed(made).get_all("DKIM-Signature") or []
    assert "a=rsa-sha256" in first and "a=ed25519-sha256" in second


@promise("M1", "M5")
@pytest.mark.parametrize("added", ["From: a@evil.example", "Subject: Other", "List-Unsubscribe: <https://evil.example>",
                                   "List-Unsubscribe-Post: List-Unsubscribe=One-Click", "Reply-To: a@evil.example"])  # fmt: skip
def test_what_counts_is_signed_and_cannot_be_added_either(added: str) -> None:
    """RFC 8058 §4 for the two List- headers; RFC 6376 §8.15 for the others."""
    assert not verifies(message().replace(b"\r\nTo: <", f"\r\n{added}\r\nTo: <".encode(), 1), 0)
    assert not verifies(message().replace(b"List-Unsubscribe: <https://mail", b"List-Unsubscribe: <https://evil", 1), 0)


def test_headers_that_stand_there_twice_are_signed_from_the_bottom_up() -> None:
    """RFC 6376 §3.4.2, §5.4.2: whoever adds one above changes which of them are meant, and breaks the signature."""
    plain = b"From: a@blumen.example\r\nCc:  b@x.example\r\nCC: c@x.example\r\nSubject: Hi\r\n\r\nHello\r\n"
    made = signed(plain, KEYS[:1], lambda: NOW)
    assert verifies(made, 0)
    assert not verifies(made.replace(b"Cc:  b@", b"Cc: d@x.example\r\nCc:  b@"), 0)


@promise("M1")
def test_a_changed_body_does_not_verify() -> None:
    assert not verifies(message().replace(b"it is spring", b"it is autumn"), 0)


@pytest.mark.parametrize("html", ["", "<p>ä</p>", "x" * 2000, "<p>a</p>   \n \n"])
def test_a_signature_holds_whatever_the_parts_are_encoded_in(html: str) -> None:
    assert verifies(message(html), 0)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"  ", b"."])).map(b"".join))
def test_a_body_is_canonicalised_as_the_verifier_does(body: bytes) -> None:
    """RFC 6376 §3.4.4."""
    assert relaxed_body(body) == Relaxed.canonicalize_body(body if body.endswith(b"\r\n") else body + b"\r\n")


def test_lines_of_a_signature_are_as_long_as_mail_may_have_them() -> None:
    """RFC 5322 §2.1.1."""
    head, _, _ = message().partition(b"From:")
    assert max(len(line) for line in head.split(b"\r\n")) <= 78


def test_a_key_that_does_not_count_is_not_signed_with() -> None:
    """RFC 8301 §3.2."""
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())):
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(ValueError, match=r"2048|RSA and Ed25519"):
            DkimKey(private, "blumen.example", "r")


def test_the_records_say_what_they_are() -> None:
    """RFC 6376 §3.6.1, RFC 8463 §4."""
    assert RSA.record.startswith("v=DKIM1; k=rsa; p=") and ED25519.record.startswith("v=DKIM1; k=ed25519; p=")
    assert len(base64.b64decode(ED25519.record.rpartition("p=")[2])) == 32
