"""What identity announces: the state of the thing after it, and before it where others act on the difference."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_identity.domain.api_key import ApiKey
from postlaw_identity.domain.key_ring import SigningKey
from postlaw_identity.domain.tenant import Tenant


@dataclass(frozen=True, slots=True)
class TenantCreated:
    tenant: Tenant


@dataclass(frozen=True, slots=True)
class SenderIdentityChanged:
    before: Tenant
    after: Tenant


@dataclass(frozen=True, slots=True)
class ApiKeyCreated:
    api_key: ApiKey


@dataclass(frozen=True, slots=True)
class ApiKeyRevoked:
    api_key: ApiKey


@dataclass(frozen=True, slots=True)
class SigningKeyRotated:
    """`ring_version`: the ring's after this key came into it."""

    signing_key: SigningKey
    ring_version: int


Announcement = TenantCreated | SenderIdentityChanged | ApiKeyCreated | ApiKeyRevoked | SigningKeyRotated
