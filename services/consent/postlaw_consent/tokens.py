"""Tokens of links, to unsubscribe or to confirm: AES-256-GCM-SIV (RFC 8452) over domain/token.py's bytes, in base64url without padding.

Layout: key version (1 byte, in clear, bound as associated data), nonce (12), ciphertext and tag. GCM-SIV because the key lives
for as long as opt-outs are kept and seals billions: a repeated random nonce would betray nothing but that two tokens are alike.
The tag is compared inside OpenSSL in constant time, and every wrong token fails with the same words.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from postlaw_common.errors import Invalid
from postlaw_common.keys.platform import OPT_OUT_TOKENS
from postlaw_consent.domain.scope import Scope
from postlaw_consent.domain.token import LONGEST_TOKEN, OptOut, pack_message, unpack

_NONCE = 12
_CANONICAL = bytes.maketrans(b"+/", b"-_")
_RETRY_UNKNOWN_S = 60.0


class Keys(Protocol):
    """The part of PlatformKeys that is used here."""

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes: ...


class Tokens:
    """Mints under one key version, opens under all that there ever were. `start` once before use. `name`: of the platform's key; what
    was minted under one name never opens under another. `what`: the link's kind, for whoever has a wrong one."""

    def __init__(self, keys: Keys, *, version: int, name: str = OPT_OUT_TOKENS, what: str = "unsubscribe link") -> None:
        self._keys = keys
        self._name = name
        self._what = what
        self._version = version
        self._ciphers: dict[int, AESGCMSIV] = {}
        self._unknown: dict[int, float] = {}

    async def start(self) -> None:
        """Loads every version up to the current one, so that no opt-out ever waits for the key service."""
        for version in range(1, self._version + 1):
            self._ciphers[version] = AESGCMSIV(await self._keys.get(self._name, version))

    def mint(self, tenant_id: str, scope: Scope, campaign_id: str, address_keys: Sequence[bytes]) -> list[bytes]:
        """One token a person, as ASCII. Invalid where the ids are too long for a link."""
        message = pack_message(tenant_id, scope, campaign_id)
        head = bytes([self._version])
        encrypt = self._ciphers[self._version].encrypt
        nonces = os.urandom(_NONCE * len(address_keys))
        minted: list[bytes] = []
        place = 0
        for address_key in address_keys:
            nonce = nonces[place : place + _NONCE]
            place += _NONCE
            sealed = encrypt(nonce, address_key + message, head)
            minted.append(b2a_base64(head + nonce + sealed, newline=False).translate(_CANONICAL).rstrip(b"="))
        if minted and len(minted[0]) > LONGEST_TOKEN:
            raise Invalid("The ids of customer, list and campaign are too long for an unsubscribe link.")
        return minted

    async def open(self, token: str) -> OptOut:
        """What the token says. Raises Invalid of type `bad-token`, and says no more than that."""
        sealed = _decode(token)
        if sealed is None:
            raise self._bad()
        cipher = self._ciphers.get(sealed[0]) or await self._other(sealed[0])
        if cipher is None:
            raise self._bad()
        try:
            return unpack(cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], sealed[:1]))
        except (InvalidTag, ValueError):
            raise self._bad() from None

    def _bad(self) -> Invalid:
        return Invalid(f"This {self._what} is damaged or not one of ours.", type="bad-token")

    async def _other(self, version: int) -> AESGCMSIV | None:
        """A version that another instance has begun to use since this one started."""
        now = time.monotonic()
        if version == 0 or self._unknown.get(version, now) > now:
            return None
        try:
            key = await self._keys.get(self._name, version, create=False)
        except KeyError:
            self._unknown[version] = now + _RETRY_UNKNOWN_S  # a forger must not make us ask the store for every try
            return None
        cipher = self._ciphers[version] = AESGCMSIV(key)
        return cipher


def _decode(token: str) -> bytes | None:
    """The bytes, where the text is exactly how we would have written them: base64 has several spellings of one value."""
    text = token.encode()
    try:
        sealed = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    again = b2a_base64(sealed, newline=False).translate(_CANONICAL).rstrip(b"=")
    return sealed if again == text and len(sealed) > 1 + _NONCE + 16 else None
