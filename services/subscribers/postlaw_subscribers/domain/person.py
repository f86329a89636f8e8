"""A person as a customer knows them, the lists they are on, and the names by which both are found."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

KEY_BYTES = 33
_ID_BYTES = KEY_BYTES + 2
_ID_PREFIX = "sub_"
_BLOCK = 64  # bytes of SHA-256, into which a customer's key fits


@dataclass(frozen=True, slots=True)
class Profile:
    """What tells who a person is; it lives only sealed. `address` as mail is sent to it, `fields` as the customer named them."""

    address: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Person:
    """`version` counts the changes that the customer sees, from 1. `language`: of their pages, as they
    chose it; "" where they did not. Times in microseconds since the epoch."""

    tenant_id: str
    address_key: bytes
    subscriber_id: str
    profile: Profile
    list_ids: tuple[str, ...]
    created_us: int
    updated_us: int
    version: int
    language: str = ""


@dataclass(frozen=True, slots=True)
class MailingList:
    """`brand`: under which its mail goes, "" for none; it never changes, for else a list could be moved around an opt-out of its brand.
    `profile_fields`: those of people's fields that they may see and correct by themselves. `time_zone`: an IANA name, "" for none."""

    tenant_id: str
    list_id: str
    name: str
    description: str
    created_us: int
    version: int
    brand: str = ""
    profile_fields: tuple[str, ...] = ()
    time_zone: str = ""


def brand_problem(brand: str) -> str | None:
    """What is wrong with a brand's name, in words for whoever sent it; None where nothing is. It must fit an unsubscribe link."""
    if len(brand) > 100 or len(brand.encode()) > 255:
        return "must have 100 characters, and 255 bytes, at most"
    if not brand.isprintable():
        return "has a character that cannot be shown, such as the end of a line"
    return None


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """A person as their own page shows them. `shown`: the fields that they see, whether there is a value or not."""

    person: Person
    shown: tuple[str, ...]


class AddressIndex:
    """Turns normalised addresses into address keys: one byte of key version, then HMAC-SHA-256 under the customer's index key."""

    def __init__(self, version: int, key: bytes) -> None:
        self._version = bytes([version])
        self._inner, self._outer = (hashlib.sha256(bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0"))) for pad in (0x36, 0x5C))

    def key_of(self, address: str) -> bytes:
        """33 bytes. `address` is normalised (`addresses.normalise`).

        The local part is folded here. RFC 5321 §2.4 leaves its case to the receiving host, but hardly any host tells `Ann@` from
        `ann@`: were they two people, an opt-out of one would leave the other mailed in the same mailbox. Plus-addresses stay
        apart: they are addresses that people choose on purpose, and no standard says what stands before the plus."""
        local, _, domain = address.rpartition("@")
        folded = local.lower() if local.isascii() else unicodedata.normalize("NFC", local.casefold())
        return self._hashed(f"{folded}@{domain}".encode())

    def key_of_digest(self, algorithm: str, digest: bytes) -> bytes:
        """33 bytes. What is kept of a digest in a suppression list: a plain digest of an address is found by trying addresses, this only by
        whoever has the customer's key, too. No address holds a NUL, so it is never an address key."""
        return self._hashed(algorithm.encode() + b"\0" + digest)

    def _hashed(self, text: bytes) -> bytes:
        """HMAC as RFC 2104 §4 has it, from both halves of the key hashed beforehand: a third of what `hmac.digest` takes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return self._version + outer.digest()


def subscriber_id(address_key: bytes, generation: int) -> str:
    """The id of the `generation`-th person (from 0) who was made under this address key. It says where their document is, and no more."""
    return _ID_PREFIX + (address_key + generation.to_bytes(_ID_BYTES - KEY_BYTES, "big")).hex()


def made_under(subscriber_id: str) -> bytes | None:
    """The address key that this id was made under; None where it is no subscriber id."""
    if not subscriber_id.startswith(_ID_PREFIX):
        return None
    try:
        raw = bytes.fromhex(subscriber_id.removeprefix(_ID_PREFIX))
    except ValueError:
        return None
    return raw[:KEY_BYTES] if len(raw) == _ID_BYTES else None
