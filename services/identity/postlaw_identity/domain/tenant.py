"""A tenant: one customer of this installation, the wall that no one's data crosses; and where it stands in the law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postlaw_law.territories import territory_codes, time_zones
from postlaw_law.words import SENDER_KINDS

BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """`territory`: where the customer is established, ISO 3166-1 alpha-2; "" is unknown, and so the strictest law. `kind`: of the
    law's SENDER_KINDS. `time_zone`: its civil time, an IANA name; "" is UTC. `contact`: telephone, e-mail or web address that its
    messages name; "" is none."""

    territory: str = ""
    kind: str = BUSINESS
    time_zone: str = ""
    contact: str = ""

    def wrong(self) -> Mapping[str, str]:
        """What is wrong, by field."""
        found: dict[str, str] = {}
        if self.territory and self.territory not in territory_codes():
            found["territory"] = (
                f"{self.territory!r} is no ISO 3166-1 alpha-2 code: two capital letters, like IE; GB for the United Kingdom"
            )
        if self.kind not in SENDER_KINDS:
            found["kind"] = f"there is no kind {self.kind!r}; there are {', '.join(sorted(SENDER_KINDS))}"
        if self.time_zone and self.time_zone not in time_zones():
            found["time_zone"] = f"{self.time_zone!r} is no time zone of the IANA database, like Europe/Dublin"
        if not self.contact.isprintable() or self.contact != self.contact.strip():
            found["contact"] = "give one line, without space before or after it"
        return found


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_id: str
    name: str
    postal_address: str  # goes into the footer of commercial mail
    created_us: int
    sender_identity: SenderIdentity = SenderIdentity()
    version: int = 1
