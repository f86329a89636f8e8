"""A tenant: one customer of this installation, the wall that no one's data crosses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_id: str
    name: str
    postal_address: str  # goes into the footer of commercial mail
    created_us: int
    version: int = 1
