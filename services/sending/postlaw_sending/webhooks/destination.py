"""Where a webhook may go: never into our own network, whatever its name says today or tomorrow.

A name is resolved here, every address that it has is looked at, and the connection is made to one of those very addresses, so that a name
which is resolved a second time can say what it likes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.domains.dns import Dns, DnsUnknown
from postlaw_sending.domains.public_addresses import is_public

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAllowed(Exception):
    """The name leads to where no webhook goes, or nowhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """`url` has the address in the place of the name, `host` is the name, with its port where that is not the usual one."""

    url: str
    host: str
    name: str


def checked_url(url: str, *, private: bool) -> str:
    """Raises Invalid. `private`: also http, and whatever addresses (development)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("give a URL, like https://example.com/hooks") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise _invalid("it must begin with https://")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise _invalid("it must name a host, and neither a user nor a fragment")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid("write it in ASCII, other letters percent-encoded")
    return url


async def place_of(url: str, resolve: Resolve, *, private: bool) -> Place:
    """Raises NotAllowed, where any of the name's addresses is none of the public internet's."""
    parts = urlsplit(url)
    name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = await resolve(name, port)
    except (OSError, UnicodeError) as failed:  # UnicodeError: it can be no name
        raise NotAllowed("the name does not resolve") from failed
    if not addresses or not (private or all(map(is_public, addresses))):
        raise NotAllowed("the name does not lead to the public internet")
    address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    host = f"[{name}]" if ":" in name else name
    usual = parts.port is None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(f"{parts.scheme}://{address}:{port}{path}", host if usual else f"{host}:{port}", name)


def by_dns(dns: Dns) -> Resolve:
    """Without the system's resolver, which waits in a thread: whose name servers do not answer would hold up what needs one."""

    async def resolve(name: str, port: int) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(name))]
        except ValueError:
            pass
        try:
            return await dns.addresses(name)
        except DnsUnknown as unknown:
            raise OSError(str(unknown)) from unknown

    return resolve


async def by_system(name: str, port: int) -> list[str]:
    """Also names that no DNS knows (development)."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


def _invalid(what: str) -> Invalid:
    return Invalid("This cannot be a webhook's address.", fields=[FieldError("url", what)])
