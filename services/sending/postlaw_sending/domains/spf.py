"""Whether a domain lets an address send in its name: check_host of RFC 7208 §4, but for macros."""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from postlaw_sending.domains.dns import Dns

LOOKUPS = 10  # §4.6.4
_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class Spf(StrEnum):
    ALLOWED = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"


class _Permerror(Exception):
    """The record cannot be used."""


async def record_of(dns: Dns, domain: str) -> list[str]:
    """Its SPF records; more than one is an error (§4.5). Raises DnsUnknown."""
    return [text for text in await dns.texts(domain) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


async def check_host(dns: Dns, domain: str, address: str) -> Spf:
    """For mail from any mailbox of the domain, handed over from this address. Raises DnsUnknown."""
    try:
        return await _Evaluation(dns, address).result(domain)
    except _Permerror:
        return Spf.PERMERROR


class _Evaluation:
    def __init__(self, dns: Dns, address: str) -> None:
        self._dns = dns
        self._address = ipaddress.ip_address(address)
        self._left = LOOKUPS

    async def result(self, domain: str) -> Spf:
        records = await record_of(self._dns, domain)
        if len(records) != 1:
            if records:
                raise _Permerror
            return Spf.NONE
        redirect = ""
        for term in records[0].split()[1:]:
            if term.lower().startswith("redirect="):
                redirect = term.partition("=")[2]
                continue
            qualifier, mechanism = (term[0], term[1:]) if term[0] in _RESULTS else ("+", term)
            if "=" not in mechanism.partition(":")[0] and await self._matches(mechanism, domain):
                return Spf(_RESULTS[qualifier])
        if redirect:
            self._look_up()
            answer = await self.result(redirect)
            if answer is Spf.NONE:  # §6.1
                raise _Permerror
            return answer
        return Spf.NEUTRAL

    async def _matches(self, mechanism: str, domain: str) -> bool:
        name, _, value = mechanism.partition(":")
        name, _, bits = name.partition("/")
        match name.lower():
            case "all":
                return True
            case "ip4" | "ip6":
                return self._within(value)
            case "include":
                self._look_up()
                answer = await self.result(value)
                if answer is Spf.NONE:  # §5.2
                    raise _Permerror
                return answer is Spf.ALLOWED
            case "a":
                host, _, bits = value.partition("/") if value else (domain, "", bits)
                self._look_up()
                return await self._is_of(host, bits)
            case "mx":
                host, _, bits = value.partition("/") if value else (domain, "", bits)
                self._look_up()
                return any([await self._is_of(exchanger, bits) for _, exchanger in await self._dns.exchangers(host) if exchanger])
            case "ptr" | "exists":
                self._look_up()
                return False  # §5.5 asks not to use the one; the other needs macros to make sense
            case _:
                raise _Permerror

    async def _is_of(self, host: str, bits: str) -> bool:
        four, _, six = bits.partition("//")
        is_six = self._address.version == 6
        width = six or "128" if is_six else four or "32"
        return any(
            self._within(f"{found}/{width}") for found in await self._dns.addresses(host) if (":" in found) == (self._address.version == 6)
        )

    def _within(self, network: str) -> bool:
        try:
            return self._address in ipaddress.ip_network(network, strict=False)
        except ValueError as wrong:
            raise _Permerror from wrong

    def _look_up(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Permerror
