"""Sealing: AES-256-GCM (NIST SP 800-38D) with a random 12-byte nonce in front of the ciphertext and its 16-byte tag.

The associated data is required: it ties what was sealed to its place (tenant, thing, purpose), so that nobody who can write to
the store can move a sealed value to where it would be believed. A random nonce is safe for 2^32 messages under one key;
keys here are per person or per batch and stay far below that.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postlaw_common.entropy import pieces_of

NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16

_nonce = pieces_of(NONCE_BYTES)


class SealBroken(Exception):
    """What was to be opened was changed, moved from its place, or sealed under another key."""


class Sealer:
    """One key's cipher, for a key that seals many things: setting up the cipher costs more than sealing 200 bytes."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("sealing needs a key of 32 bytes")
        self._cipher = AESGCM(key)

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        if not aad:
            raise ValueError("sealing needs associated data: name the place that this belongs to")
        nonce = _nonce()
        return nonce + self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("a sealed value could not be opened: it was changed, moved, or sealed under another key") from error


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Nonce, ciphertext and tag: `OVERHEAD_BYTES` longer than the plaintext. `key` is 32 bytes; `aad` must not be empty."""
    return Sealer(key).seal(plaintext, aad)


def open_sealed(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext again. Raises SealBroken."""
    return Sealer(key).open(sealed, aad)
