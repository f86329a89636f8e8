"""The domain that a recipient's mail goes to."""

from __future__ import annotations

import idna


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
