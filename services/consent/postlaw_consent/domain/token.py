"""What an unsubscribe link says, as bytes: sealed and authenticated by tokens.py, so that nobody reads or makes one but us.

It carries no address and needs no document to be understood, so a link works for as long as opt-outs are kept: also when the
campaign, the list, the person or the customer is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_consent.domain.event import ADDRESS_KEY_BYTES
from postlaw_consent.domain.scope import Scope, ScopeKind

LONGEST_TOKEN = 520  # characters: some 230 for a list's, and room for the longest brand; a header's line ends at 998

_KINDS: tuple[ScopeKind, ...] = ("everything", "list", "topic", "brand")


@dataclass(frozen=True, slots=True)
class OptOut:
    """Whose link it is, at which customer, for mail of which scope, and the message's campaign ("" for none)."""

    tenant_id: str
    address_key: bytes
    scope: Scope
    campaign_id: str = ""


def pack(optout: OptOut) -> bytes:
    """address_key, a byte for the scope's kind, then tenant, scope and campaign, each behind a byte of its length."""
    if len(optout.address_key) != ADDRESS_KEY_BYTES:
        raise ValueError(f"an address key has {ADDRESS_KEY_BYTES} bytes")
    return optout.address_key + pack_message(optout.tenant_id, optout.scope, optout.campaign_id)


def pack_message(tenant_id: str, scope: Scope, campaign_id: str) -> bytes:
    """The part that all recipients of one campaign share. ValueError where one of the texts is over 255 bytes."""
    parts = [bytes([_KINDS.index(scope.kind)])]
    for text in (tenant_id, scope.id, campaign_id):
        raw = text.encode()
        if len(raw) > 255:
            raise ValueError("an id in a token has 255 bytes at most")
        parts.append(bytes([len(raw)]) + raw)
    return b"".join(parts)


def unpack(packed: bytes) -> OptOut:
    """ValueError where these are not bytes of `pack`."""
    if len(packed) < ADDRESS_KEY_BYTES + 4 or packed[ADDRESS_KEY_BYTES] >= len(_KINDS):
        raise ValueError("not an opt-out")
    kind = _KINDS[packed[ADDRESS_KEY_BYTES]]
    texts: list[str] = []
    place = ADDRESS_KEY_BYTES + 1
    for _ in range(3):
        if place >= len(packed):
            raise ValueError("not an opt-out")
        end = place + 1 + packed[place]
        texts.append(packed[place + 1 : end].decode())
        place = end
    if place != len(packed):
        raise ValueError("not an opt-out")
    return OptOut(texts[0], packed[:ADDRESS_KEY_BYTES], Scope(kind, texts[1]), texts[2])
