"""New key pairs for DKIM, and the records by which others know them (RFC 6376 §3.6.1, RFC 8463 §4)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

RSA_BITS = 2048  # RFC 8301 §3.2


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`private`: PKCS #8. `record`: the TXT record's whole text."""

    record: str
    private: bytes = field(repr=False)


def new_rsa() -> KeyPair:
    """A tenth of a second of processor time, sometimes half a second."""
    key = generate_private_key(65537, RSA_BITS)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(_record("rsa", public), _private(key))


def new_ed25519() -> KeyPair:
    key = Ed25519PrivateKey.generate()
    return KeyPair(_record("ed25519", key.public_key().public_bytes_raw()), _private(key))


def _record(kind: str, public: bytes) -> str:
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"


def _private(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
