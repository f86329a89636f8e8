"""MTA-STS (RFC 8461): whether a domain asks that its mail is handed over under TLS that is verified, and to which servers.

TLS reports (RFC 8460) are not sent, so that a policy in testing changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.http_client import httpx
from postlaw_common.telemetry import get_logger
from postlaw_sending.domains.checking import tags
from postlaw_sending.domains.dns import Dns, DnsUnknown
from postlaw_sending.mx.kept import Kept
from postlaw_sending.mx.sts_kept import KeptPolicies, KeptPolicy
from postlaw_sending.mx.sts_policy import NoPolicy, Policy, parsed

log = get_logger("sending.mx")

LOOKED_AT_EVERY_S: Final = 300.0
SIZE_LIMIT: Final = 65_536
FETCH_S: Final = 20.0


class Policies:
    """`fetch`: of a domain, its policy's text; raises NoPolicy. A policy that was had once counts until its max_age is over, whatever
    the DNS says by then (RFC 8461 §5.1): whoever can take a record away could else take the protection away.

    Times of `now_us` are since the epoch, for they are kept; how long a look is good is of the `monotonic` clock."""

    def __init__(
        self,
        dns: Dns,
        fetch: Callable[[str], Awaitable[str]],
        kept: KeptPolicies,
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dns = dns
        self._fetch = fetch
        self._kept = kept
        self._now_us = now_us
        self._looked: Kept[KeptPolicy | None] = Kept(self._look, LOOKED_AT_EVERY_S, monotonic)

    async def enforced(self, domain: str) -> Policy | None:
        """The policy, where there is one that has to be kept to. Raises StoreUnavailable."""
        known = await self._looked.of(domain)
        if known is None or self._now_us() >= known.until_us:
            return None
        return known.policy if known.policy.enforced else None

    async def _look(self, domain: str) -> KeptPolicy | None:
        known = await self._kept.of(domain)
        try:
            records = [text for text in await self._dns.texts(f"_mta-sts.{domain}") if tags(text).get("v") == "STSv1"]
        except DnsUnknown:
            return known
        if len(records) != 1:  # RFC 8461 §3.1: several are none
            return known
        id = tags(records[0]).get("id", "")
        if not id or (known is not None and known.id == id and self._now_us() < known.until_us):
            return known
        try:
            policy = parsed(await self._fetch(domain))
        except NoPolicy as failed:
            log.warning("mta_sts_policy_not_had", domain=domain, error=str(failed))
            return known
        known = KeptPolicy(id, policy, self._now_us() + policy.max_age_s * 1_000_000)
        await self._kept.keep(domain, known)
        return known


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
