"""Who asks, as far as a limit or the log needs to know: an address block, not a person."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
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
        return _block(self.ip)


def spend(limits: RateLimits, visitor: Visitor) -> None:
    """Raises RateLimited."""
    taken = limits.take(visitor.block)
    if not taken.allowed:
        raise RateLimited("Too many forms from where you are. Try again in a minute.", retry_after_s=taken.retry_after_s)


@lru_cache(4096)
def _block(ip: str) -> str:
    """What one household or one rented machine can take addresses from at will: a /24 of IPv4, a /48 of IPv6."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def block_of(scope: Any) -> str:
    """The address block that an ASGI request comes from."""
    client = scope.get("client")
    return _block(client[0] if client else "")


def visitor_of(scope: Any) -> Visitor:
    """Of an ASGI request."""
    client = scope.get("client")
    agent = dict(scope["headers"]).get(b"user-agent", b"")
    return Visitor(client[0] if client else "", agent.decode("latin-1")[:500])
