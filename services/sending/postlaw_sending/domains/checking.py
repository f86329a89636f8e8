"""A sender domain held against the DNS: what is expected, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from postlaw_sending.domains.dns import Dns, DnsUnknown
from postlaw_sending.domains.domain.sender_domain import LINKS, Algorithm, Check, DkimKey, Result, SenderDomain, links_host
from postlaw_sending.domains.spf import Spf, check_host, record_of


@dataclass(frozen=True, slots=True)
class Expected:
    """Of the installation. `addresses`: from which we hand mail over; `ehlo`: the name that it greets with;
    `include`: what customers' SPF records are to include. Empty where a relay sends, whose business they then are.
    `links`: what customers' own hosts for links are to lead to; "": there are none."""

    addresses: Sequence[str] = ()
    include: str = ""
    ehlo: str = ""
    links: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """`published`: of each key, by selector, what its record was found to be."""

    checks: tuple[Check, ...]
    published: dict[str, Result]


class Checking:
    def __init__(self, dns: Dns, expected: Expected) -> None:
        self._dns = dns
        self._expected = expected

    async def __call__(self, domain: SenderDomain) -> Findings:
        """Every check; none raises: what cannot be asked is unknown."""
        looks = [
            (key, await self._told(f"dkim:{key.selector}", key.record, lambda key=key: self._dkim(domain.domain, key)))
            for key in domain.lasting
        ]
        # One RSA key that is published is enough: another is new, or about to go. Ed25519 stands only beside it (RFC 8463).
        signs = any(key.algorithm is Algorithm.RSA and found.result is not Result.FAIL for key, found in looks)
        checks = [found if key.algorithm is Algorithm.RSA and not signs else _at_most_warned(found) for key, found in looks]
        published = {key.selector: found.result for key, found in looks}
        name = domain.domain
        checks += [
            await self._told("spf", self._spf_expected, lambda: self._spf(name)),
            await self._told("dmarc", _DMARC_EXPECTED, lambda: self._dmarc(name)),
            await self._told("mx", _MX_EXPECTED, lambda: self._mx(name)),
        ]
        checks += await self._bimi(name, next(check for check in checks if check.id == "dmarc"))
        checks += await self._links(links_host(name))
        for address in self._expected.addresses:
            checks.append(await self._told(f"fcrdns:{address}", _FCRDNS_EXPECTED, lambda address=address: self._fcrdns(address)))
        return Findings(tuple(checks), published)

    async def _told(self, id: str, expected: str, look: Callable[[], Awaitable[Check]]) -> Check:
        try:
            return await look()
        except DnsUnknown as unknown:
            return Check(id, Result.UNKNOWN, expected, f"no answer: {unknown}", "Nothing now: it is asked again.")

    async def _dkim(self, domain: str, key: DkimKey) -> Check:
        """RFC 6376 §3.6.1; that the record holds our key also shows that whoever registered the domain may write to its zone."""
        name = f"{key.selector}._domainkey.{domain}"
        texts = await self._dns.texts(name)
        wanted = tags(key.record)
        for text in texts:
            found = tags(text)
            same_kind = found.get("v", "DKIM1") == "DKIM1" and found.get("k", "rsa") == wanted["k"]
            if same_kind and found.get("p") == wanted["p"]:
                return Check(f"dkim:{key.selector}", Result.OK, key.record, text)
        return Check(
            f"dkim:{key.selector}", Result.FAIL, key.record, _said(texts), f"Publish the expected text as the TXT record of {name}."
        )

    @property
    def _spf_expected(self) -> str:
        include = self._expected.include
        return f"v=spf1 … include:{include} …" if include else "v=spf1 …, with the servers that hand the mail over"

    async def _spf(self, domain: str) -> Check:
        """Of the return path, which is at the same domain (RFC 7208 §2.4)."""
        records = await record_of(self._dns, domain)
        include = self._expected.include
        what_to_do = f"Publish one TXT record of {domain} that begins with v=spf1" + (
            f" and has include:{include} in it." if include else "."
        )
        if len(records) != 1:
            return Check("spf", Result.FAIL, self._spf_expected, _said(records), what_to_do)
        for address in self._expected.addresses:
            answer = await check_host(self._dns, domain, address)
            if answer is not Spf.ALLOWED:
                return Check("spf", Result.FAIL, self._spf_expected, f"{records[0]} ({answer} for {address})", what_to_do)
        if include and not self._expected.addresses and f"include:{include}" not in records[0].lower().split():
            return Check("spf", Result.FAIL, self._spf_expected, records[0], what_to_do)
        return Check("spf", Result.OK, self._spf_expected, records[0])

    async def _dmarc(self, domain: str) -> Check:
        """RFC 7489 §6.6.3, but looking upwards label by label, so that no list of public suffixes is needed. DKIM is aligned in itself:
        what we sign with is the domain of From."""
        labels = domain.split(".")
        for start in range(len(labels) - 1):
            texts = [text for text in await self._dns.texts("_dmarc." + ".".join(labels[start:])) if tags(text).get("v") == "DMARC1"]
            if len(texts) == 1:
                return Check("dmarc", Result.OK, _DMARC_EXPECTED, texts[0])
            if texts:
                return Check("dmarc", Result.FAIL, _DMARC_EXPECTED, _said(texts), "Leave one of these records and take the others away.")
        return Check("dmarc", Result.FAIL, _DMARC_EXPECTED, "nothing", f"Publish v=DMARC1; p=none as the TXT record of _dmarc.{domain}.")

    async def _bimi(self, domain: str, dmarc: Check) -> list[Check]:
        """Of a domain that shows a logo (draft-brand-indicators-for-message-identification §4.2, §7.1), which none has to: nothing where
        there is no record, or none could be asked for. It never fails."""
        try:
            texts = await self._dns.texts(f"default._bimi.{domain}")
        except DnsUnknown:
            return []
        records = [text for text in texts if tags(text).get("v") == "BIMI1"]
        if not records:
            return []
        logo = tags(records[0]).get("l", "")
        if len(records) > 1 or (logo and not logo.startswith("https://")):
            return [
                Check("bimi", Result.WARN, _BIMI_EXPECTED, _said(records), f"Publish it alone as the TXT record of default._bimi.{domain}.")
            ]
        if logo and tags(dmarc.found).get("p", "").lower() not in ("quarantine", "reject"):
            return [Check("bimi", Result.WARN, _BIMI_EXPECTED, dmarc.found, "No logo is shown before DMARC says quarantine or reject.")]
        return [Check("bimi", Result.OK, _BIMI_EXPECTED, records[0])]

    async def _links(self, host: str) -> list[Check]:
        """Of a domain whose tracked links are to stand on a host of its own, which none has to: nothing where there is no record, or
        none could be asked for. It never fails."""
        try:
            found = await self._dns.alias(host) if self._expected.links else ""
        except DnsUnknown:
            found = ""
        if not found:
            return []
        expected = f"{host} CNAME {self._expected.links}"
        if found != self._expected.links:
            return [Check(LINKS, Result.WARN, expected, found, f"Publish {self._expected.links} as the CNAME record of {host}.")]
        return [Check(LINKS, Result.OK, expected, found)]

    async def _mx(self, domain: str) -> Check:
        """Bounces come back to the domain, and so do answers to From (RFC 5321 §5.1: without MX, its own address)."""
        what_to_do = f"Publish an MX record of {domain} that names a server which takes its mail."
        exchangers = await self._dns.exchangers(domain)
        said = ", ".join(f"{preference} {host or '.'}" for preference, host in exchangers)
        if any(not host for _, host in exchangers):
            return Check("mx", Result.FAIL, _MX_EXPECTED, f"{said}: takes no mail (RFC 7505)", what_to_do)
        for host in [host for _, host in exchangers] or [domain]:
            if await self._dns.addresses(host):
                return Check("mx", Result.OK, _MX_EXPECTED, said or f"no MX, but an address of {domain}")
        return Check("mx", Result.FAIL, _MX_EXPECTED, f"{said}: no address" if said else "nothing", what_to_do)

    async def _fcrdns(self, address: str) -> Check:
        """RFC 8601 §2.7.3 (iprev), and that the name we greet with is the address's (RFC 5321 §4.1.4). Not the customer's to repair."""
        id, what_to_do = f"fcrdns:{address}", "Tell whoever runs this installation."
        names = await self._dns.names(address)
        if not any([await self._is_at(name, address) for name in names]):
            return Check(id, Result.WARN, _FCRDNS_EXPECTED, _said(names), what_to_do)
        if not await self._is_at(self._expected.ehlo, address):
            return Check(id, Result.WARN, _FCRDNS_EXPECTED, f"{self._expected.ehlo} is another address's", what_to_do)
        return Check(id, Result.OK, _FCRDNS_EXPECTED, _said(names))

    async def _is_at(self, name: str, address: str) -> bool:
        return ip_address(address) in [ip_address(found) for found in await self._dns.addresses(name)]


_FCRDNS_EXPECTED = "a name that leads back to the address, and a greeting with a name of it"
_DMARC_EXPECTED = "v=DMARC1; p=…"
_BIMI_EXPECTED = "v=BIMI1; l=https://…, and DMARC with p=quarantine or p=reject"
_MX_EXPECTED = "a server that takes the domain's mail"


def tags(record: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2), without any space."""
    pairs = (part.partition("=") for part in record.split(";") if "=" in part)
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}


def _at_most_warned(check: Check) -> Check:
    return replace(check, result=Result.WARN) if check.result is Result.FAIL else check


def _said(texts: Sequence[str]) -> str:
    return " | ".join(texts)[:500] or "nothing"
