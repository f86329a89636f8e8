"""The cap where it acts: outcomes are counted, and the planner asks who has had enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.frequency.caps import Caps
from postlaw_sending.frequency.contacts import Contacts


class Capping:
    """`find`: a campaign by its id, whoever's it is."""

    def __init__(
        self, caps: Caps, contacts: Contacts, find: Callable[[str], Awaitable[Campaign | None]], now_us: Callable[[], int]
    ) -> None:
        self._caps = caps
        self._contacts = contacts
        self._find = find
        self._now_us = now_us

    async def note(self, settled: Settled) -> None:
        """Counts whom a batch of marketing was sent to, where the customer has a cap."""
        cap = await self._caps.of(settled.tenant_id)
        if not cap.messages:
            return
        sent = {
            outcome.address_key: outcome.handed_over_at_us or settled.started_at_us
            for outcome in settled.outcomes()
            if outcome.state is State.SENT
        }
        campaign = await self._find(settled.campaign_id) if sent else None
        if campaign is not None and campaign.message.is_marketing:
            await self._contacts.note(settled.tenant_id, settled.campaign_id, cap, sent)

    async def had_enough(self, campaign: Campaign, address_keys: Sequence[bytes]) -> set[bytes]:
        """Who is not to get this campaign."""
        if not campaign.message.is_marketing:
            return set()
        cap = await self._caps.of(campaign.tenant_id)
        if not cap.messages or not address_keys:
            return set()
        return await self._contacts.had_enough(campaign.tenant_id, cap, address_keys, self._now_us())

    async def forget(self) -> None:
        """Removes what counts no more. Raises StoreUnavailable."""
        await self._contacts.forget(self._now_us())
