"""What a customer is told of their campaigns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import current
from postlaw_sending.analytics.counting import Cells
from postlaw_sending.analytics.figures import FigureSheets
from postlaw_sending.analytics.people import TrackedPeople
from postlaw_sending.analytics.wire import BY, By, campaign_analytics, figures, hour_text, keys_of, rows
from postlaw_sending.campaigns.campaigns import Campaigns


class ReadAnalytics:
    def __init__(self, campaigns: Campaigns, sheets: FigureSheets, people: TrackedPeople) -> None:
        self._campaigns = campaigns
        self._sheets = sheets
        self._people = people

    async def of_campaign(self, campaign_id: str) -> sending.CampaignAnalytics:
        """Raises NotFound."""
        campaign = await self._campaigns.get(campaign_id, current().tenant_id)
        cells = await self._sheets.of_campaign(campaign_id)
        opened, clicked = await self._people.number(campaign_id, "open"), await self._people.number(campaign_id, "click")
        return campaign_analytics(campaign_id, campaign.tracking.links, cells, opened, clicked)

    async def by(self, by: By) -> sending.Analytics:
        """A line for each key."""
        tenant_id = current().tenant_id
        found = await self._sheets.of_tenant(tenant_id)
        if by in (BY.BY_DESTINATION, BY.BY_HOUR):
            every: Cells = Counter()
            for cells in found.values():
                every.update(cells)
            dimension = "d" if by == BY.BY_DESTINATION else "h"
            named = {key: hour_text(key) if dimension == "h" else key for key in keys_of(every, dimension)}
            return rows({name: figures(every, dimension, key) for key, name in named.items()})
        keys = await self._keys(tenant_id, found, by)
        together: defaultdict[str, Cells] = defaultdict(Counter)
        for campaign_id, cells in found.items():
            together[keys[campaign_id]].update(cells)
        return rows({key: figures(cells) for key, cells in together.items()})

    async def _keys(self, tenant_id: str, found: Mapping[str, Cells], by: By) -> dict[str, str]:
        if by not in (BY.BY_LIST, BY.BY_SENDER_DOMAIN):
            return {campaign_id: campaign_id for campaign_id in found}
        keys: dict[str, str] = {}
        for campaign_id in found:
            campaign = await self._campaigns.get(campaign_id, tenant_id)
            keys[campaign_id] = campaign.list_id if by == BY.BY_LIST else campaign.sender.address.rpartition("@")[2].lower()
        return keys
