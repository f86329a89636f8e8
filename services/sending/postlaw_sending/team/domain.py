"""An address of a customer's own people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TeamAddress:
    """`link`: the hash of the token that was mailed last. Times in microseconds since the epoch, 0: not yet. `version` 0: not stored."""

    team_address_id: str
    tenant_id: str
    address_key: bytes
    address: str
    seed: bool
    created_at_us: int
    link: str = ""
    asked_at_us: int = 0
    confirmed_at_us: int = 0
    version: int = 0
