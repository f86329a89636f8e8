"""Campaigns and customers of whom too much comes back send nothing more, until an operator has looked (requirements M6; design §4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import NotFound
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, moved
from postlaw_sending.campaigns.domain.recipients import Totals
from postlaw_sending.returns.counts import Counts, provider_in
from postlaw_sending.returns.days import day_of
from postlaw_sending.returns.provider_rates import ProviderRates
from postlaw_sending.returns.rates import Figures, judged
from postlaw_sending.returns.returned import Class

WITHIN_US: Final = 7 * 86_400_000_000  # a customer's campaigns that were launched so long ago count together
_PAGE: Final = 200
_COUNTED: Final[tuple[Class, Class]] = ("complaint", "hard")
_log = get_logger("sending.returns")


async def recent(campaigns: Campaigns, tenant_id: str, now_us: int) -> AsyncIterator[Campaign]:
    """A customer's campaigns that count together. Raises StoreUnavailable."""
    after = ""
    while page := await campaigns.page(tenant_id, after=after, limit=_PAGE):
        after = page[-1].campaign_id
        for campaign in page:
            if campaign.launched_at_us > now_us - WITHIN_US:
                yield campaign


class CameBack(NamedTuple):
    tenant_id: str
    campaign_id: str
    cls: Class
    provider: str = ""  # whose customer they are, where it is a big one


class Judging:
    """`pause`: pauses all campaigns of a customer, with a reason. Every method raises StoreUnavailable, BusUnavailable."""

    def __init__(
        self,
        counts: Counts,
        campaigns: Campaigns,
        totals: Callable[[Campaign], Awaitable[Totals]],
        pause: Callable[[str, Callable[[str], bool], str], Awaitable[int]],
        now_us: Callable[[], int],
        by_provider: ProviderRates,
    ) -> None:
        self._by_provider = by_provider
        self._counts = counts
        self._campaigns = campaigns
        self._totals = totals
        self._pause = pause
        self._now_us = now_us

    async def count(self, came_back: Iterable[CameBack]) -> None:
        """Of campaigns; what comes back of single messages is too little to be a rate."""
        counted = [one for one in came_back if one.cls in ("complaint", "hard") and one.campaign_id.startswith("cmp_")]
        by_campaign = Counter((one.tenant_id, one.campaign_id, one.cls) for one in counted)
        at_provider = Counter((one.tenant_id, one.campaign_id, one.provider, one.cls) for one in counted if one.provider)
        for *place, provider in {(one.tenant_id, one.campaign_id, one.provider) for one in counted if one.provider}:
            tenant_id, campaign_id = place
            numbers = (at_provider[tenant_id, campaign_id, provider, cls] for cls in _COUNTED)
            await self._by_provider.add(tenant_id, campaign_id, provider, *numbers)
        places = {(one.tenant_id, one.campaign_id) for one in counted}
        for tenant_id, campaign_id in places:
            await self._counts.add(tenant_id, campaign_id, *(by_campaign[tenant_id, campaign_id, cls] for cls in _COUNTED))
            await self._judge_campaign(tenant_id, campaign_id)
        for tenant_id in {tenant_id for tenant_id, _ in places}:
            await self._judge_customer(tenant_id)

    async def held(self) -> sending.ListHeldSendingResponse:
        """Raises StoreUnavailable."""
        held = [sending.HeldSending(tenant_id=tenant, id=id, because=because) async for tenant, id, because in self._counts.held()]
        return sending.ListHeldSendingResponse(held=held)

    async def release(self, request: sending.ReleaseHeldSendingRequest) -> sending.ReleaseHeldSendingResponse:
        """It may be launched and resumed again, and rates count from here on. Raises NotFound, StoreUnavailable."""
        async for tenant_id, id, _ in self._counts.held():
            if id == request.id:
                await self._release(tenant_id, id)
                return sending.ReleaseHeldSendingResponse()
        raise NotFound(f"Nothing is held back under {request.id}.")

    async def _release(self, tenant_id: str, id: str) -> None:
        if provider_in(id):
            await self._by_provider.release(tenant_id, id)
            return
        of = self._of_customer(tenant_id) if id == tenant_id else self._of_campaign(tenant_id, id)
        await self._counts.release(tenant_id, id, await of, day_of(self._now_us()))

    async def _judge_campaign(self, tenant_id: str, campaign_id: str) -> None:
        figures = await self._of_campaign(tenant_id, campaign_id)
        if because := await self._held(tenant_id, campaign_id, figures):
            await self._campaigns.change(campaign_id, tenant_id, lambda campaign: self._paused(campaign, because), None)

    async def _judge_customer(self, tenant_id: str) -> None:
        if because := await self._held(tenant_id, tenant_id, await self._of_customer(tenant_id)):
            await self._pause(tenant_id, lambda _: True, because)

    async def _held(self, tenant_id: str, id: str, figures: Figures) -> str:
        """Why it is to pause, or "". The hold first: what is launched meanwhile is refused, or is there to be paused."""
        level, what = judged(figures.since((await self._counts.released(id))[0]))
        if level == "warn":
            _log.warning("much comes back", of=id, what=what)
        if level != "pause":
            return ""
        if await self._counts.hold(tenant_id, id, what):
            _log.alert("sending is held back: too much comes back", of=id, what=what)
        return f"rate-exceeded: {what}"

    def _paused(self, campaign: Campaign, because: str) -> Campaign:
        if campaign.status is not Status.SENDING:
            return campaign
        return replace(moved(campaign, Move.PAUSE, self._now_us()), paused_because=because)

    async def _of_campaign(self, tenant_id: str, campaign_id: str) -> Figures:
        return await self._figures(await self._campaigns.get(campaign_id, tenant_id))

    async def _of_customer(self, tenant_id: str) -> Figures:
        figures = Figures()
        async for campaign in recent(self._campaigns, tenant_id, self._now_us()):
            figures += await self._figures(campaign)
        return figures

    async def _figures(self, campaign: Campaign) -> Figures:
        tally = (await self._totals(campaign)).tally
        return Figures(tally.sent, tally.bounced, *await self._counts.of(campaign.campaign_id))
