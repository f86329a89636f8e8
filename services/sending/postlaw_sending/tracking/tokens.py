"""What stands in a message's tracked links and its pixel: which campaign's it is, when it was handed over, whose. It proves itself, and
holds no address and no target.

One a message: which of its links was followed stands beside the token, unsigned. Whoever has the message has all of its links, and no
number leads where the campaign's own table does not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Protocol

from postlaw_common.keys.platform import TRACKING

_CAMPAIGN: Final = 26  # an id without its prefix
_PERSON: Final = 33  # an address key
_TAG: Final = 12
_TIME: Final = 4
# Both are multiples of three: base64 has no spare bits, so a token is written in one way alone.
_SIZES: Final = (_TIME + _CAMPAIGN + _TAG, _TIME + _CAMPAIGN + _PERSON + _TAG)


class Keys(Protocol):
    """The part of PlatformKeys that is used here."""

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Named:
    """What a token says. `person`: an address key, b"" for nobody's. `sent_at_s`: seconds since the epoch."""

    campaign_id: str
    sent_at_s: int
    person: bytes


class Tokens:
    """`start` once before use."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._key = b""

    async def start(self) -> None:
        self._key = await self._keys.get(TRACKING)

    def of(self, campaign_id: str, sent_at_s: int, person: bytes = b"") -> str:
        """ASCII, as it stands in a path: 56 characters, 100 with a person."""
        said = sent_at_s.to_bytes(_TIME, "big") + campaign_id[-_CAMPAIGN:].encode() + person
        return base64.urlsafe_b64encode(said + self._tag(said)).decode("ascii")

    def read(self, token: str) -> Named | None:
        """None for every token that is none of ours."""
        try:
            whole = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeError):
            return None
        if len(whole) not in _SIZES:
            return None
        said, tag = whole[:-_TAG], whole[-_TAG:]
        if not hmac.compare_digest(tag, self._tag(said)):
            return None
        campaign = said[_TIME : _TIME + _CAMPAIGN].decode("ascii")
        return Named(f"cmp_{campaign}", int.from_bytes(said[:_TIME], "big"), said[_TIME + _CAMPAIGN :])

    def _tag(self, said: bytes) -> bytes:
        if not self._key:
            raise RuntimeError("tracking tokens were not started")
        # RFC 7693 §2.9: keyed, a MAC as HMAC is, in a third of its time (ADR 28)
        return hashlib.blake2b(said, key=self._key, digest_size=_TAG, person=b"postlaw-tracking").digest()
