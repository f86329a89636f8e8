"""A link that was mailed to a person's own address: to what is kept of them, or to confirm a new address. Good once, and not for long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.scope import Scope

LinkKind = Literal["details", "address"]
LinkState = Literal["open", "used", "expired"]

_HOUR_US = 3600 * 1_000_000
LIFE_US: dict[LinkKind, int] = {"details": _HOUR_US, "address": 24 * _HOUR_US}  # the mails say so


@dataclass(frozen=True, slots=True)
class ProfileLink:
    """`address_key`: where it goes; `scope` and `campaign_id`: of the message by whose link it was asked for. `subscriber_id` and
    `address`: of "address" alone, who moves where. `used`: what it was used for, as a hash; empty: not yet. Times in microseconds since the
    epoch; `due_us`: its mail is not to be tried before."""

    id: str
    kind: LinkKind
    tenant_id: str
    address_key: bytes
    scope: Scope
    campaign_id: str
    language: str
    at_us: int
    subscriber_id: str = ""
    address: str = ""
    used: bytes = b""
    tries: int = 0
    due_us: int = 0
    version: int = 1

    @property
    def expires_us(self) -> int:
        return self.at_us + LIFE_US[self.kind]

    def state(self, now_us: int) -> LinkState:
        if self.used:
            return "used"
        return "open" if now_us < self.expires_us else "expired"
