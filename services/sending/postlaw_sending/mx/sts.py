"""MTA-STS (RFC 8461): whether a domain asks that its mail is handed over under TLS that is verified, and to which servers.

TLS reports (RFC 8460) are not sent, so that a policy in testing changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx

from postlaw_common.telemetry import get_logger
from postlaw_sending.domains.checking import tags
from postlaw_sending.domains.dns import Dns, DnsUnknown
from postlaw_sending.mx.kept import Kept

log = get_logger("sending.mx")

LOOKED_AT_EVERY_S: Final = 300.0
LONGEST_S: Final = 31_557_600  # RFC 8461 §3.2: of max_age
SIZE_LIMIT: Final = 65_536
FETCH_S: Final = 20.0


class NoPolicy(Exception):
    """It cannot be had, or is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx`: names, or "*." and a name, which stands for one label (RFC 8461 §4.1)."""

    mode: str
    mx: tuple[str, ...]
    max_age_s: int

    @property
    def enforced(self) -> bool:
        return self.mode == "enforce"

    def names(self, host: str) -> bool:
        return host in self.mx or "*." + host.partition(".")[2] in self.mx


def parsed(text: str) -> Policy:
    """RFC 8461 §3.2. Raises NoPolicy."""
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in text.splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if key == "mx":
            mx.append(value.lower().removesuffix("."))
        else:
            values.setdefault(key, value)  # of a key that stands twice the first counts
    age = values.get("max_age", "")
    if values.get("version") != "STSv1" or values.get("mode") not in ("enforce", "testing", "none") or not age.isdecimal() or len(age) > 10:
        raise NoPolicy("version, mode or max_age is missing or wrong")
    if values["mode"] != "none" and not mx:
        raise NoPolicy("it names no server")
    return Policy(values["mode"], tuple(mx), min(int(age), LONGEST_S))


@dataclass(frozen=True, slots=True)
class _Known:
    id: str
    policy: Policy
    until: float


class Policies:
    """`fetch`: of a domain, its policy's text; raises NoPolicy. A policy that was had once counts until its max_age is over, whatever
    the DNS says by then (RFC 8461 §5.1): whoever can take a record away could else take the protection away."""

    def __init__(self, dns: Dns, fetch: Callable[[str], Awaitable[str]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dns = dns
        self._fetch = fetch
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        self._looked: Kept[None] = Kept(self._look, LOOKED_AT_EVERY_S, monotonic)

    async def enforced(self, domain: str) -> Policy | None:
        """The policy, where there is one that has to be kept to."""
        await self._looked.of(domain)
        known = self._known.get(domain)
        if known is None:
            return None
        if self._monotonic() >= known.until:
            del self._known[domain]
            return None
        return known.policy if known.policy.enforced else None

    async def _look(self, domain: str) -> None:
        try:
            records = [text for text in await self._dns.texts(f"_mta-sts.{domain}") if tags(text).get("v") == "STSv1"]
        except DnsUnknown:
            return
        if len(records) != 1:  # RFC 8461 §3.1: several are none
            return
        id = tags(records[0]).get("id", "")
        known = self._known.get(domain)
        if not id or (known is not None and known.id == id and self._monotonic() < known.until):
            return
        try:
            policy = parsed(await self._fetch(domain))
        except NoPolicy as failed:
            log.warning("mta_sts_policy_not_had", domain=domain, error=str(failed))
            return
        self._known[domain] = _Known(id, policy, self._monotonic() + policy.max_age_s)


class Fetch:
    """By HTTPS, from the addresses that `addresses` gives of a host's name; the certificate is the name's (RFC 8461 §3.3)."""

    def __init__(
        self,
        addresses: Callable[[str], Awaitable[tuple[str, ...]]],
        *,
        port: int = 443,
        within_s: float = FETCH_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._addresses = addresses
        self._port = port
        self._within_s = within_s
        self._context = context or ssl.create_default_context()

    async def __call__(self, domain: str) -> str:
        host = f"mta-sts.{domain}"
        why = "its host has no address"
        try:
            async with asyncio.timeout(self._within_s):  # a page that comes byte by byte holds up its domain's mail no longer
                for address in await self._addresses(host):
                    try:
                        return await self._get(host, f"[{address}]" if ":" in address else address)
                    except (httpx.HTTPError, httpx.InvalidURL) as failed:
                        why = type(failed).__name__
        except DnsUnknown:
            why = "its host could not be looked up"
        except TimeoutError:
            why = "no answer in time"
        raise NoPolicy(why)

    async def _get(self, host: str, address: str) -> str:
        url = f"https://{address}:{self._port}/.well-known/mta-sts.txt"
        async with (
            httpx.AsyncClient(verify=self._context, timeout=self._within_s, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"Host": host, "Accept-Encoding": "identity"}, extensions={"sni_hostname": host}) as response,
        ):
            if response.status_code != 200 or not response.headers.get("content-type", "").startswith("text/plain"):
                raise NoPolicy(f"HTTP {response.status_code}, {response.headers.get('content-type', 'no type')}")
            body = b""
            async for part in response.aiter_raw():
                body += part
                if len(body) > SIZE_LIMIT:
                    raise NoPolicy("it is larger than 64 kB")
        return body.decode("utf-8", "replace")
