"""A customer's webhook, and what is done to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["created", "event types set", "secret rotated", "redelivery asked", "disabled", "deleted"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """`secrets`: the newest first, each with the customer key's version, itself sealed, and when it ends (0: not yet).
    `event_types`: of what it is told, none of everything. Times in microseconds since the epoch."""

    id: str
    tenant_id: str
    url: str
    created_at_us: int
    secrets: tuple[tuple[int, bytes, int], ...] = ()
    disabled_because: str = ""
    event_types: tuple[str, ...] = ()

    def wants(self, type: str) -> bool:
        return not self.disabled_because and (not self.event_types or type in self.event_types)
