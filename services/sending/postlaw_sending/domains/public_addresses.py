"""Which IP addresses are the public internet's: whatever name of somebody else's leads elsewhere is not connected to."""

from __future__ import annotations

import ipaddress


def is_public(address: str) -> bool:
    """Also of IPv4 in IPv6, however it is wrapped (RFC 4291 §2.5.5.2, RFC 6052, RFC 3056)."""
    it = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(it, ipaddress.IPv6Address):
        inner = it.ipv4_mapped or it.sixtofour
        if it in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(it.packed[12:])
        if inner is not None:
            return is_public(str(inner))
    return it.is_global and not it.is_multicast and not it.is_reserved
