"""DKIM signatures (RFC 6376) over whole messages, relaxed/relaxed, by RSA-SHA256 and by Ed25519-SHA256 (RFC 8463) beside it.

A message is canonicalised once, whatever number of keys sign it: 20 µs beside the 500 and more of an RSA-2048 signature, so nothing is
kept of what a campaign's messages have in common (docs/adr/0029-sender-domains-and-dkim.md).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

# Each is named once more than it stands there, so that nobody can add another (RFC 6376 §5.4.2, §8.15). RFC 8058 §4 asks for both
# headers of one-click unsubscribing.
_SEALED: Final = (
    b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip
_ALSO: Final = (b"list-id", b"feedback-id", b"auto-submitted")  # signed where they are there
_LINE: Final = 72


class Signing(Protocol):
    """A private key's own operation over the bytes that RFC 6376 §3.7 hashes."""

    def __call__(self, data: bytes, /) -> bytes: ...


class DkimKey:
    """`private`: PKCS #8 (RFC 5958), of RSA or Ed25519. `domain` becomes `d=`, `selector` `s=`. ValueError for another kind of key."""

    def __init__(self, private: bytes, domain: str, selector: str) -> None:
        key = load_der_private_key(private, password=None)
        self.sign: Signing
        if isinstance(key, RSAPrivateKey):
            if key.key_size < 2048:  # RFC 8301 §3.2
                raise ValueError("an RSA key has 2048 bits at least")
            rsa = key
            self.algorithm = b"rsa-sha256"
            self.sign = lambda data: rsa.sign(data, PKCS1v15(), SHA256())
        elif isinstance(key, Ed25519PrivateKey):
            ed25519 = key
            self.algorithm = b"ed25519-sha256"
            self.sign = lambda data: ed25519.sign(hashlib.sha256(data).digest())  # RFC 8463 §3
        else:
            raise ValueError("DKIM knows RSA and Ed25519 keys")
        self.domain = domain.encode("ascii")
        self.selector = selector.encode("ascii")


def signed(message: bytes, keys: Sequence[DkimKey], now: Callable[[], float]) -> bytes:
    """The message, which has CRLF line ends, behind a DKIM-Signature of each key, in their order. `now`: seconds since the epoch."""
    head, _, body = message.partition(b"\r\n\r\n")
    names, covered = _covered(head)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    signatures: list[bytes] = []
    for key in keys:
        unsigned = (
            b"v=1; a=%b; c=relaxed/relaxed; d=%b;\r\n s=%b; t=%d;\r\n h=%b;\r\n bh=%b;\r\n b="
            % (key.algorithm, key.domain, key.selector, int(now()), names, body_hash)
        )  # fmt: skip
        made = base64.b64encode(key.sign(covered + b"dkim-signature:" + _relaxed(unsigned)))
        folded = b"\r\n ".join(made[start : start + _LINE] for start in range(0, len(made), _LINE))
        signatures.append(b"DKIM-Signature: %b%b\r\n" % (unsigned, folded))
    return b"".join([*signatures, message])


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 §3.4.4, of a body whose line ends are CRLF."""
    body = _single_spaced(body).replace(b" \r\n", b"\r\n").rstrip(b" \r\n")
    return body + b"\r\n" if body else b""


def _covered(head: bytes) -> tuple[bytes, bytes]:
    """The value of `h=`, folded, and the headers that it names as §3.4.2 has them, each with its CRLF."""
    found: dict[bytes, list[bytes]] = {}
    for line in _relaxed(head, lines=True).split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        found.setdefault(name, []).append(b"%b:%b\r\n" % (name, value.strip()))
    names: list[bytes] = []
    covered: list[bytes] = []
    for name in (*_SEALED, *_ALSO):
        there = found.get(name, [])
        covered += reversed(there)  # §5.4.2: from the bottom up
        names += [name] * (len(there) + (name in _SEALED))
    lines, line = list[bytes](), b""
    for name in names:
        if len(line) + len(name) > _LINE:
            lines.append(line)
            line = b""
        line += name + b":"
    return b"\r\n ".join([*lines, line])[:-1], b"".join(covered)


def _relaxed(text: bytes, *, lines: bool = False) -> bytes:
    """Unfolded, and each run of spaces one (§3.4.2); `lines`: of several headers, whose own line ends stay."""
    unfolded = text.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    return _single_spaced(unfolded if lines else unfolded.replace(b"\r\n", b""))


def _single_spaced(text: bytes) -> bytes:
    """Each run of spaces and tabs one space. A regular expression takes ten times as long."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text
