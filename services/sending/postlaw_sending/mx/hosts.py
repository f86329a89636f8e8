"""Which servers take a domain's mail, and in what order they are tried (RFC 5321 §5.1, RFC 7505)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from postlaw_sending.domains.dns import Dns
from postlaw_sending.domains.public_addresses import is_public
from postlaw_sending.mx.kept import Kept

KEPT_S: Final = 300.0
ADDRESSES_TRIED: Final = 6  # of a host; RFC 5321 §5.1 asks for two at least


class TakesNoMail(Exception):
    """That domain takes no mail, for good; the text is an SMTP reply's: code, enhanced status (RFC 3463), words."""


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    preference: int


class MailHosts:
    """`own`: the names that we ourselves are known by. `private`: whether addresses that are not public may be mailed to."""

    def __init__(
        self, dns: Dns, own: frozenset[str] = frozenset(), *, private: bool = False, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._dns = dns
        self._own = own
        self._private = private
        self._hosts: Kept[list[Host]] = Kept(self._look_up, KEPT_S, monotonic)
        self._addresses: Kept[list[str]] = Kept(dns.addresses, KEPT_S, monotonic)

    async def of(self, domain: str) -> list[Host]:
        """The preferred first, those of one preference in an order that is drawn anew each time. Raises TakesNoMail, DnsUnknown."""
        hosts = await self._hosts.of(domain)
        return sorted(random.sample(hosts, len(hosts)), key=lambda host: host.preference)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv6 and IPv4 by turns, so that a family that leads nowhere costs one attempt. Raises DnsUnknown."""
        found = [address for address in await self._addresses.of(host) if self._private or is_public(address)]
        by_family = [[address for address in found if ip_address(address).version == version] for version in (6, 4)]
        turns = max(map(len, by_family))
        return tuple(family[turn] for turn in range(turns) for family in by_family if turn < len(family))[:ADDRESSES_TRIED]

    async def _look_up(self, domain: str) -> list[Host]:
        if not domain:
            raise TakesNoMail("553 5.1.3 the address names no domain")
        found = await self._dns.exchangers(domain)
        if found and all(not name for _, name in found):
            raise TakesNoMail("556 5.1.10 the domain takes no mail (null MX)")
        hosts = [Host(name, preference) for preference, name in found if name]
        if not hosts:
            if not await self._dns.addresses(domain):
                raise TakesNoMail("550 5.1.2 the domain has neither a mail server nor an address")
            return [Host(domain, 0)]
        ours = [host.preference for host in hosts if host.name in self._own]
        if ours:  # a server that is less preferred than we are would send it back to us
            hosts = [host for host in hosts if host.preference < min(ours)]
            if not hosts:
                raise TakesNoMail("550 5.4.6 the domain's mail would come back to us")
        return hosts
