"""A link was followed, or a pixel fetched: where it leads is answered at once, whatever becomes of the record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.errors import NotFound
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.tracking.domain import Kind
from postlaw_sending.tracking.machines import machine
from postlaw_sending.tracking.recording import Hit
from postlaw_sending.tracking.tokens import Tokens

_KEPT: Final = 1024  # campaigns' tables of links


class RecordHit:
    """`campaign`: by id; None for one that never was. `take`: hands it to whoever records."""

    def __init__(
        self,
        tokens: Tokens,
        campaign: Callable[[str], Awaitable[Campaign | None]],
        take: Callable[[Hit], None],
        now_us: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._campaign = campaign
        self._take = take
        self._now_us = now_us
        self._links: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    async def __call__(self, token: str, kind: Kind, link: int, user_agent: str, *, head: bool, prefetch: bool) -> str:
        """The link's target, "" of a pixel. Raises NotFound for a token that is none, Unavailable."""
        named = self._tokens.read(token)
        if named is None:
            raise NotFound("There is no such link.")
        links = await self._table(named.campaign_id)
        if kind == "click" and link >= len(links):
            raise NotFound("There is no such link.")
        now_us = self._now_us()
        # A token without a person was made for all, at no time of its own.
        after_s = now_us / 1e6 - named.sent_at_s
        why = machine(kind, user_agent, head=head, prefetch=prefetch, after_s=after_s)
        self._take(Hit(named.campaign_id, kind, link if kind == "click" else 0, named.person, now_us, why))
        return links[link] if kind == "click" else ""

    async def _table(self, campaign_id: str) -> tuple[str, ...]:
        """It never changes, so it is read once."""
        if campaign_id not in self._links:
            campaign = await self._campaign(campaign_id)
            if campaign is None:
                raise NotFound("There is no such link.")
            self._links[campaign_id] = campaign.tracking.links
            while len(self._links) > _KEPT:
                self._links.popitem(last=False)
        return self._links[campaign_id]
