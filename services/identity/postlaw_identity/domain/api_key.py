"""API keys: `pl_live_<prefix>_<secret>_<checksum>`, all in lower-case base 32 (RFC 4648 §6).

The prefix (40 bits) is shown and indexed, the secret (160 bits) is known to its owner alone, the checksum (CRC-32 of all before
it) tells a mistyped or cut-off key from an unknown one without a look-up, and lets secret scanners be sure of a find.

What is stored is an HMAC-SHA-256 of the whole key under a pepper. A slow hash (argon2, scrypt) would buy nothing: it exists to
make guessing of *weak* secrets dear, and 160 random bits cannot be guessed at any speed. The pepper makes a stolen database
useless for confirming a key found elsewhere.
"""

from __future__ import annotations

import base64
import hmac
import re
import zlib
from dataclasses import dataclass
from enum import Enum

BRAND = "pl_live_"
PREFIX_BYTES = 5
SECRET_BYTES = 20
_SHAPE = re.compile(r"pl_live_([a-z2-7]{8})_[a-z2-7]{32}_([a-z2-7]{7})")


class State(Enum):
    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Times in microseconds since the epoch; `expires_us` and `revoked_us` 0: never, not."""

    api_key_id: str
    tenant_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    created_us: int
    expires_us: int = 0
    revoked_us: int = 0
    version: int = 1

    def state(self, now_us: int) -> State:
        if self.revoked_us:
            return State.REVOKED
        return State.EXPIRED if self.expires_us and self.expires_us <= now_us else State.GOOD


def compose(prefix_bytes: bytes, secret_bytes: bytes) -> str:
    """The key as its owner sees it this once, from 5 and 20 random bytes."""
    body = f"{BRAND}{_base32(prefix_bytes)}_{_base32(secret_bytes)}"
    return f"{body}_{_checksum(body)}"


def visible_prefix(key: str) -> str:
    """`pl_live_abcdefgh`: the part that lists and logs may show."""
    return key[: len(BRAND) + 8]


def well_formed(key: str) -> bool:
    """Whether this can be a key of ours at all: its shape and its checksum."""
    return _SHAPE.fullmatch(key) is not None and key.rpartition("_")[2] == _checksum(key.rpartition("_")[0])


def keyed_hash(key: str, pepper: bytes) -> bytes:
    """32 bytes. `pepper`: 32 bytes."""
    return hmac.digest(pepper, key.encode(), "sha256")


def same_hash(one: bytes, other: bytes) -> bool:
    """In a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def _checksum(body: str) -> str:
    return _base32(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()
