"""Of each recipient, where their mail goes: the recipient's domain, and the pool of addresses that it leaves from."""

from __future__ import annotations

from collections.abc import Sequence

import idna

from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.worker.routes import Route

MARKETING = "marketing"
TRANSACTIONAL = "transactional"


def routes(tenant_id: str, single: bool, recipients: Sequence[Recipient]) -> list[Route]:
    """A Router."""
    pool = TRANSACTIONAL if single else MARKETING
    return [Route(pool, domain_of(recipient.address)) for recipient in recipients]


def domain_of(address: str) -> str:
    """In A-labels and lower case; "" where the address names none, or a literal address (RFC 5321 §4.1.3), which is not mailed to."""
    domain = address.rpartition("@")[2].lower().removesuffix(".")
    if "[" in domain:
        return ""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
