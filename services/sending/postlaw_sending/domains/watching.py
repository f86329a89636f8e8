"""Sender domains are checked again on schedule, and campaigns of those that fail are paused. One that passes again resumes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Invalid
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_sending.domains.domain.sender_domain import SenderDomain, State
from postlaw_sending.domains.sender_domains import SenderDomains
from postlaw_sending.domains.use_cases.keep_domains import KeepDomains, domain_name

LEASE_US = 600 * 1_000_000  # whoever began a check and was lost has so long; then another process does it
_LOOK_EVERY_S = 60.0
log = get_logger("sending.domains")

# (tenant, whether an address is of the domain, why): campaigns' PauseSenders
Pause = Callable[[str, Callable[[str], bool], str], Awaitable[int]]


class DomainWatch:
    """`pause` None: campaigns may go from any domain, so none is paused for it."""

    def __init__(self, domains: SenderDomains, keep: KeepDomains, pause: Pause | None, now_us: Callable[[], int]) -> None:
        self._domains = domains
        self._keep = keep
        self._pause = pause
        self._now_us = now_us

    async def run(self) -> None:
        """A background."""
        while True:
            try:
                await self.look()
            except (BusUnavailable, StoreUnavailable, KeysUnavailable) as away:
                log.warning("sender domains could not be looked at", failure=type(away).__name__)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """One pass: checks what is due, and pauses what a failing domain sends, however it came to fail."""
        async for domain in self._domains.all():
            found = await self._keep.check_now(domain, None) if await self._taken(domain) else domain
            if found.state is State.FAILING and self._pause is not None:
                await self._pause_from(found, self._pause)

    async def _taken(self, domain: SenderDomain) -> bool:
        """Whether this process is to check it now: of several, the one that moved its time."""
        now_us = self._now_us()
        if domain.due_at_us > now_us:  # most are; one whose time was moved meanwhile is seen in the next pass
            return False
        took: list[SenderDomain] = []

        def change(found: SenderDomain) -> SenderDomain:
            took.clear()
            if found.due_at_us > now_us:
                return found
            took.append(found)
            return replace(found, due_at_us=now_us + LEASE_US)

        await self._domains.change(domain.tenant_id, domain.domain, change, None)
        return bool(took)

    async def _pause_from(self, domain: SenderDomain, pause: Pause) -> None:
        paused = await pause(domain.tenant_id, lambda address: _is_of(address, domain.domain), f"domain-failing: {domain.domain}")
        if paused:
            log.alert("campaigns are paused, their sender's domain fails", domain=domain.domain, campaigns=paused)


def _is_of(address: str, domain: str) -> bool:
    try:
        return domain_name(address.rpartition("@")[2]) == domain
    except Invalid:
        return False
