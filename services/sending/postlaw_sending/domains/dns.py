"""What sending asks of the DNS, and dnspython's resolver behind it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

TIMEOUT_S = 5.0  # for a question, over all name servers


class DnsUnknown(Exception):
    """No answer, or SERVFAIL: nothing is known of this name now, neither that it is there nor that it is not."""


class Dns(Protocol):
    async def texts(self, name: str) -> list[str]:
        """Its TXT records, each with its strings joined (RFC 7208 §3.3); none where the name does not exist. Raises DnsUnknown."""
        ...

    async def exchangers(self, name: str) -> list[tuple[int, str]]:
        """(preference, host) of its MX records, the preferred first; host "" is the null MX (RFC 7505). Raises DnsUnknown."""
        ...

    async def addresses(self, name: str) -> list[str]:
        """Its A and AAAA records. Raises DnsUnknown."""
        ...

    async def names(self, address: str) -> list[str]:
        """Its PTR records. Raises DnsUnknown."""
        ...

    async def alias(self, name: str) -> str:
        """What its CNAME record leads to, "" where it has none. Raises DnsUnknown."""
        ...


class Resolver:
    """`servers`: as the setting names them; none: the system's. Asks anew each time. ValueError for a server that is none."""

    def __init__(self, servers: Sequence[str] = (), *, timeout_s: float = TIMEOUT_S) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [_server(server) for server in servers]
        self._resolver.lifetime = timeout_s
        self._resolver.timeout = timeout_s / 2

    async def texts(self, name: str) -> list[str]:
        records = await self._ask(name, "TXT")
        return [b"".join(record.strings).decode("utf-8", "replace") for record in records]

    async def exchangers(self, name: str) -> list[tuple[int, str]]:
        records = await self._ask(name, "MX")
        return sorted((record.preference, _host(record.exchange)) for record in records)

    async def addresses(self, name: str) -> list[str]:
        return [record.address for kind in ("A", "AAAA") for record in await self._ask(name, kind)]

    async def names(self, address: str) -> list[str]:
        return [_host(record.target) for record in await self._ask(ipaddress.ip_address(address).reverse_pointer, "PTR")]

    async def alias(self, name: str) -> str:
        records = await self._ask(name, "CNAME")
        return _host(records[0].target) if records else ""

    async def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return []  # no such name can be there
        except (dns.exception.DNSException, OSError) as failure:
            raise DnsUnknown(f"{name} {kind}: {type(failure).__name__}") from failure
        return list(answer.rrset or ())


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")


def _server(server: str) -> dns.nameserver.Nameserver:
    host, _, port = server.rpartition(":") if server.count(":") == 1 or "]:" in server else (server, "", "53")
    host = host.strip("[]")
    ipaddress.ip_address(host)
    return dns.nameserver.Do53Nameserver(host, int(port))
