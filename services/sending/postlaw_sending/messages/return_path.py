"""Where a message's returns go (VERP): an address that names the campaign, or the single message, by its id and the person by the
beginning of their address key, nobody by address, and that proves itself. Where a campaign's answers go, if they come through us, is
another such address.

Whoever makes one up must guess 40 bits of a keyed digest beside both names, so a forged bounce stops nobody's mail. Whoever received a
message can read its own: that much a person can say of themselves.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final, NamedTuple, Protocol

from postlaw_common.keys.platform import RETURN_PATHS

# In octets, which take two digits each. With "b+" and the 26 of the id that is 64, the most before an @ (RFC 5321 §4.5.3.1.1).
PERSON: Final = 13  # an address key's version and 96 bits of its digest
_TAG: Final = 5
_OURS: Final = re.compile(rb"([bsa])\+([a-z0-9]{26})([0-9a-f]{26})([0-9a-f]{10})@[^@]+")
_REPORTS: Final = re.compile(rb"r\+([a-z0-9]{26})([0-9a-f]{10})@([^@]+)")

UNSUBSCRIBE: Final = "unsubscribe"  # at our host: what stands in List-Unsubscribe
COMPLAINTS: Final = "complaints"  # at our host: what is registered with providers' feedback loops


class Keys(Protocol):
    """The part of PlatformKeys that is used here."""

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes: ...


class SentMessage(NamedTuple):
    """Of which message something came back. `campaign_id`: a campaign's, or a single message's (`sgl_…`) or one of its attempts' (`msg_…`).
    `person`: the first 13 bytes of their address key."""

    campaign_id: str
    person: bytes


class ReturnPaths:
    """`host`: where returned mail arrives; "" leaves it to the sender's own domain. `start` once before use."""

    def __init__(self, keys: Keys, host: str = "") -> None:
        self._keys = keys
        self._host = host.encode("ascii")
        self._key = b""

    async def start(self) -> None:
        self._key = await self._keys.get(RETURN_PATHS)

    @property
    def unsubscribing(self) -> bytes:
        """Where a mail with an unsubscribe token in its subject stops mail; b"" without a host of our own."""
        return b"%b@%b" % (UNSUBSCRIBE.encode(), self._host) if self._host else b""

    def mailbox(self, address: str) -> str | None:
        """UNSUBSCRIBE or COMPLAINTS, at our host. None for every other address."""
        local, _, host = address.lower().rpartition("@")
        return (
            local if self._host and host.encode("utf-8", "replace") == self._host.lower() and local in (UNSUBSCRIBE, COMPLAINTS) else None
        )

    def reports_of(self, tenant_id: str) -> str:
        """Where reports of a customer's domains arrive, which stands in their zones; "" without a host of our own."""
        id = tenant_id.removeprefix("ten_").encode()
        return f"r+{id.decode()}{self._tag(b'r+', id).hex()}@{self._host.decode()}" if self._host else ""

    def read_reports(self, address: str) -> str | None:
        """Whose reports arrive there, by their id. None for every address that is none of ours."""
        found = _REPORTS.fullmatch(address.encode("utf-8", "replace").lower())
        if found is None or found[3] != self._host.lower():
            return None
        return f"ten_{found[1].decode()}" if hmac.compare_digest(bytes.fromhex(found[2].decode()), self._tag(b"r+", found[1])) else None

    def of(self, campaign: bytes, address_key: bytes, domain: bytes) -> bytes:
        """The return path of one message. `campaign`: its id without the prefix; `domain`: the sender's."""
        person = address_key[:PERSON]
        return b"b+%b%b@%b" % (campaign, (person + self._tag(campaign, person)).hex().encode(), self._host or domain)

    def of_single(self, message: bytes, address_key: bytes, domain: bytes) -> bytes:
        """The return path of a single message. `message`: its id without the prefix."""
        person = address_key[:PERSON]
        return b"s+%b%b@%b" % (message, (person + self._tag(b"s+" + message, person)).hex().encode(), self._host or domain)

    @property
    def taking_answers(self) -> bool:
        """Whether there is a host of our own for them."""
        return bool(self._host)

    def of_answer(self, campaign: bytes, address_key: bytes) -> bytes:
        """Where one recipient's answers to a campaign go. Who sees that address, in a conversation that was passed on, does not know the
        return path: answers report no bounces."""
        person = address_key[:PERSON]
        return b"a+%b%b@%b" % (campaign, (person + self._tag(b"a+" + campaign, person)).hex().encode(), self._host)

    def read(self, address: str) -> SentMessage | None:
        """Of a return path. None for every address that is none of ours, whatever its domain. Servers on the way may have changed its
        case."""
        found = self._proved(address)
        return found[1] if found is not None and found[0] != b"a" else None

    def read_answer(self, address: str) -> SentMessage | None:
        """As `read`, of an address to which answers go."""
        found = self._proved(address)
        return found[1] if found is not None and found[0] == b"a" else None

    def _proved(self, address: str) -> tuple[bytes, SentMessage] | None:
        found = _OURS.fullmatch(address.encode("utf-8", "replace").lower())
        if found is None:
            return None
        kind, id, person, tag = found[1], found[2], bytes.fromhex(found[3].decode()), bytes.fromhex(found[4].decode())
        tagged = id if kind == b"b" else kind + b"+" + id
        sent = SentMessage(f"{'sgl' if kind == b's' else 'cmp'}_{id.decode()}", person)
        return (kind, sent) if hmac.compare_digest(tag, self._tag(tagged, person)) else None

    def _tag(self, message: bytes, person: bytes) -> bytes:
        if not self._key:
            raise RuntimeError("return paths were not started")
        return hashlib.blake2b(message + person, key=self._key, digest_size=_TAG).digest()  # RFC 7693 §2.9: keyed, a MAC as HMAC is
