"""An entry of the ledger: one act of one person, or one made in their name. Never changed once written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.particulars import NONE_STATED, Particulars
from postlaw_consent.domain.scope import EVERYTHING, Scope

Kind = Literal[
    "given", "withdrawn", "requested", "implied", "refused", "confirmed", "renewed", "complained", "expired", "invalidated", "objected",
    "restricted", "unrestricted", "paused", "resumed", "tracking_given", "tracking_withdrawn",
    "bounced", "reachable", "erased", "lifted",
]  # fmt: skip
Route = Literal["api", "import", "one_click", "page", "mail"]

# Who gives one of these says yes, in so many words.
EXPRESS: frozenset[Kind] = frozenset({"given", "confirmed", "renewed"})
# What stops mail goes through the stop (withdraw_consent.py), everything else is recorded (record_consents.py).
CLOSING: frozenset[Kind] = frozenset({
    "withdrawn", "refused", "complained", "objected", "restricted", "paused", "invalidated", "tracking_withdrawn",
    "bounced", "erased",
})  # fmt: skip
# These are of all mail of a customer, whatever message they were said about; a complaint where it does not name a brand.
_OF_EVERYTHING: frozenset[Kind] = frozenset({
    "complained", "objected", "restricted", "unrestricted", "paused", "resumed", "bounced", "reachable", "erased",
})  # fmt: skip

ADDRESS_KEY_BYTES = 33  # one byte of key version, 32 of HMAC-SHA-256


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted. `kind`: api_key, user, service, person or operator."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """`version` counts 1, 2, 3 … within the person. Times in microseconds since the epoch: `at_us` when the person did it,
    `recorded_at_us` when this service took it. Evidence is sealed: under the profile key, and under the proof key. An attestation is
    what somebody says of many people at once, sealed under the customer's key."""

    event_id: str
    tenant_id: str
    address_key: bytes
    version: int
    kind: Kind
    scope: Scope
    route: Route
    at_us: int
    recorded_at_us: int
    actor: Actor
    on_behalf_of: Actor | None = None
    source: str = ""
    notice_hash: bytes = b""
    sealed_profile_evidence: bytes = b""
    sealed_proof_evidence: bytes = b""
    sealed_attestation: bytes = b""
    campaign_id: str = ""
    idempotency_key: str = ""
    particulars: Particulars = NONE_STATED

    @property
    def person(self) -> str:
        return person_of(self.tenant_id, self.address_key)


def scope_of_act(kind: Kind, said: Scope) -> Scope:
    """What an act is of, that was said to be of `said`."""
    if kind not in _OF_EVERYTHING or (kind == "complained" and said.kind == "brand"):
        return said
    return EVERYTHING


def person_of(tenant_id: str, address_key: bytes) -> str:
    """The name of a person in documents and events; the same address at two customers is two people."""
    return f"{tenant_id}/{address_key.hex()}"
