"""Who sends a form that has mail sent, as far as a limit needs to know: an address block, not a person."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from postlaw_common.errors import RateLimited
from postlaw_gateway.rate_limits import RateLimits


@dataclass(frozen=True, slots=True)
class Visitor:
    """`ip` empty where it is not known."""

    ip: str = ""
    user_agent: str = ""

    @property
    def block(self) -> str:
        """What one household or one rented machine can take addresses from at will: a /24 of IPv4, a /48 of IPv6."""
        try:
            address = ipaddress.ip_address(self.ip)
        except ValueError:
            return "unknown"
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def spend(limits: RateLimits, visitor: Visitor) -> None:
    """Raises RateLimited."""
    taken = limits.take(visitor.block)
    if not taken.allowed:
        raise RateLimited("Too many forms from where you are. Try again in a minute.", retry_after_s=taken.retry_after_s)


def visitor_of(scope: Any) -> Visitor:
    """Of an ASGI request."""
    client = scope.get("client")
    agent = dict(scope["headers"]).get(b"user-agent", b"")
    return Visitor(client[0] if client else "", agent.decode("latin-1")[:500])
