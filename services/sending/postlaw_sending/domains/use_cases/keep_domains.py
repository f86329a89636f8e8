"""Register, read, check and re-key sender domains."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import idna

from postlaw_common.caller import Actor, current
from postlaw_common.errors import Conflict, FieldError, Invalid
from postlaw_sending.domains.checking import Checking
from postlaw_sending.domains.dkim_keys import DkimKeys
from postlaw_sending.domains.domain.sender_domain import SenderDomain, State, checked, rotated
from postlaw_sending.domains.sender_domains import SenderDomains

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
AGAIN_AFTER_US = 6 * 3600 * 1_000_000


class KeepDomains:
    def __init__(self, domains: SenderDomains, keys: DkimKeys, checking: Checking, now_us: Callable[[], int]) -> None:
        self._domains = domains
        self._keys = keys
        self._checking = checking
        self._now_us = now_us

    async def register(self, domain: str) -> SenderDomain:
        """With new keys; one that is registered is answered as it is. Raises Invalid."""
        caller = current()
        name = domain_name(domain)
        found = await self._domains.find(caller.tenant_id, name)
        if found is not None:
            return found
        keys = await self._keys.make(caller.tenant_id, name)
        now_us = self._now_us()
        made = SenderDomain(caller.tenant_id, name, keys, created_at_us=now_us, due_at_us=now_us + AGAIN_AFTER_US)
        return await self._domains.insert(made, caller.actor)

    async def get(self, domain: str) -> SenderDomain:
        """Raises Invalid, NotFound."""
        return await self._domains.get(current().tenant_id, domain_name(domain))

    async def page(self, page_size: int, page_token: str) -> tuple[list[SenderDomain], str]:
        """(domains, the token of the next page, "" at the end)."""
        if page_size < 0:
            raise Invalid("The page cannot be that small.", fields=[FieldError("page_size", f"give 1 to {LARGEST_PAGE}")])
        size = min(page_size or DEFAULT_PAGE, LARGEST_PAGE)
        found = await self._domains.page(current().tenant_id, after=page_token, limit=size)
        return found, found[-1].domain if len(found) == size else ""

    async def check(self, domain: str) -> SenderDomain:
        """Raises Invalid, NotFound."""
        caller = current()
        return await self.check_now(await self.get(domain), caller.actor)

    async def check_now(self, domain: SenderDomain, actor: Actor | None) -> SenderDomain:
        """`actor` None: on schedule."""
        findings = await self._checking(domain)
        now_us = self._now_us()
        due_at_us = now_us + AGAIN_AFTER_US - secrets.randbelow(AGAIN_AFTER_US // 10)  # not all at once

        def change(found: SenderDomain) -> SenderDomain:
            return checked(found, findings.checks, findings.published, now_us, due_at_us)

        return await self._domains.change(domain.tenant_id, domain.domain, change, actor)

    async def rotate(self, domain: str) -> SenderDomain:
        """Raises Invalid, NotFound."""
        caller = current()
        found = await self.get(domain)
        if found.rotating or not found.signing:
            return found
        keys = await self._keys.make(found.tenant_id, found.domain)

        def change(now: SenderDomain) -> SenderDomain:
            return now if now.rotating else rotated(now, keys)

        return await self._domains.change(found.tenant_id, found.domain, change, caller.actor)

    async def require_verified(self, tenant_id: str, address: str) -> None:
        """Raises Conflict of type `domain-not-verified` where this customer may not mail from the address."""
        name = domain_name(address.rpartition("@")[2])
        found = await self._domains.find(tenant_id, name)
        if found is None or found.state is not State.VERIFIED:
            how = "register it first" if found is None else f"it is {found.state}; see its checks"
            raise Conflict(
                f"The sender's domain {name} is not verified for you: {how} (/v1/sender-domains).",
                type="domain-not-verified",
                fields=[FieldError("sender.address", how)],
            )

    async def links_host(self, tenant_id: str, address: str) -> str:
        """Of what this customer sends from the address: see SenderDomain. Raises StoreUnavailable."""
        try:
            name = domain_name(address.rpartition("@")[2])
        except Invalid:  # where all mail is captured, it comes from anywhere
            return ""
        found = await self._domains.find(tenant_id, name)
        return found.links_host if found else ""


def domain_name(domain: str) -> str:
    """In A-labels, lower case. Raises Invalid."""
    try:
        name = idna.encode(domain.strip().rstrip(".").lower(), uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        name = ""
    if "." not in name or name.rpartition(".")[2].isdecimal():
        raise Invalid("That is no domain to mail from.", fields=[FieldError("domain", "give a domain's name, like news.example.com")])
    return name
