"""An entry of the ledger: one act of one person, or one made in their name. Never changed once written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.scope import Scope

Kind = Literal["given", "withdrawn"]
Route = Literal["api", "import", "one_click", "page"]

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

    @property
    def person(self) -> str:
        return person_of(self.tenant_id, self.address_key)


def person_of(tenant_id: str, address_key: bytes) -> str:
    """The name of a person in documents and events; the same address at two customers is two people."""
    return f"{tenant_id}/{address_key.hex()}"
