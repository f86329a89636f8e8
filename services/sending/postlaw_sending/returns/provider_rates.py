"""Rates of one provider's people: what a customer's average hides stops there alone, before that provider refuses all of it.

What was handed over is counted by provider from settled batches (analytics), what came back by campaign and provider; a provider that
reports no complaints shows its own rate (postmaster.py). Big providers alone are known (mailbox_providers.toml); others have no rate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.returns.counts import Counts, at, provider_in
from postlaw_sending.returns.days import day_of
from postlaw_sending.returns.postmaster import PostmasterRates
from postlaw_sending.returns.rates import Figures, judged, judged_rate
from postlaw_sending.worker.mailbox_providers import PROVIDERS

JUDGE_EVERY_S: Final = 30.0  # figures of a week are read for it: not with every mail that comes back
_log = get_logger("sending.returns")


class ProviderRates:
    """`recent`: a customer's campaigns that count together. `cells`: a campaign's figures, as analytics has them."""

    def __init__(
        self,
        counts: Counts,
        postmaster: PostmasterRates,
        recent: Callable[[str], AsyncIterator[Campaign]],
        cells: Callable[[str], Awaitable[Mapping[str, int]]],
        now_us: Callable[[], int],
    ) -> None:
        self._counts = counts
        self._postmaster = postmaster
        self._recent = recent
        self._cells = cells
        self._now_us = now_us
        self._touched: set[str] = set()

    async def add(self, tenant_id: str, campaign_id: str, provider: str, complaints: int, hard_bounces: int) -> None:
        await self._counts.add(tenant_id, at(campaign_id, provider), complaints, hard_bounces)
        self._touched.add(tenant_id)

    async def run(self) -> None:
        """A background: looks at customers of whom something came back. One that a crash forgets is looked at with the next."""
        while True:
            await asyncio.sleep(JUDGE_EVERY_S)
            try:
                await self.judge_touched()
            except OUTAGES as away:
                _log.warning("rates by provider wait", failure=type(away).__name__)

    async def judge_touched(self) -> None:
        while self._touched:
            tenant_id = next(iter(self._touched))
            await self.judge(tenant_id)
            self._touched.discard(tenant_id)

    async def judge(self, tenant_id: str) -> None:
        """Holds back what goes to providers whose rate is too high. Raises StoreUnavailable."""
        figures, shown = await self._figures(tenant_id), await self._postmaster.of(tenant_id)
        for provider in {*figures, *shown}:
            id = at(tenant_id, provider)
            before, released_on = await self._counts.released(id)
            sent = figures.get(provider, Figures())
            level, what = judged(sent.since(before))
            newer = [one for one in shown.get(provider, ()) if one[0] > released_on]
            if level != "pause" and newer:
                day, rate, domain = max(newer, key=lambda one: one[1])
                if judged_rate(rate, sent.sent):
                    level, what = judged_rate(rate, sent.sent), f"complaints: {rate:.2%} of {domain} on {day}, as it states itself"
            if level == "warn":
                _log.warning("much comes back", of=id, what=what)
            if level == "pause" and await self._counts.hold(tenant_id, id, f"{provider}: {what}"):
                _log.alert("sending is held back: too much comes back", of=id, what=what)

    async def take(self, request: sending.ImportPostmasterRatesRequest) -> sending.ImportPostmasterRatesResponse:
        """Raises Invalid, StoreUnavailable."""
        taken, tenants, unknown = await self._postmaster.take(request.provider, request.rates)
        for tenant_id in tenants:
            await self.judge(tenant_id)
        return sending.ImportPostmasterRatesResponse(taken=taken, unknown_domains=sorted(unknown))

    async def release(self, tenant_id: str, id: str) -> None:
        """Raises StoreUnavailable."""
        figures = (await self._figures(tenant_id)).get(provider_in(id), Figures())
        await self._counts.release(tenant_id, id, figures, day_of(self._now_us()))

    async def _figures(self, tenant_id: str) -> Mapping[str, Figures]:
        """By provider."""
        found: dict[str, Figures] = {}
        async for campaign in self._recent(tenant_id):
            ids = {at(campaign.campaign_id, provider): provider for provider in PROVIDERS}
            came_back = await self._counts.of_all([*ids])
            cells = Counter(await self._cells(campaign.campaign_id))
            for id, provider in ids.items():
                handed = Figures(cells[f"d|{provider}|sent"], cells[f"d|{provider}|bounced"], *came_back.get(id, (0, 0)))
                if any((handed.sent, handed.refused, handed.complaints, handed.hard_bounces)):
                    found[provider] = found.get(provider, Figures()) + handed
        return found
