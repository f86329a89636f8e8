"""The status of each campaign in memory, for those who must know it without waiting: the second gate asks before every message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postlaw_common.bus import Bus, BusUnavailable, Reader
from postlaw_common.bus.once import end_offsets
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.wire import CAMPAIGNS, status_of

log = get_logger("sending.campaigns.watch")

_AGAIN_AFTER_S = 0.5
UNSEEN = "paused"  # what is not known is not sent


class CampaignWatch:
    """Tails `postlaw.sending.campaigns.v1` on every partition, from its end on; what was before is loaded on first sight.

    `see` must have been awaited for a campaign (BatchOpener.open does) before `status` says more than "paused"."""

    def __init__(self, bus: Bus, campaigns: Campaigns) -> None:
        self._bus = bus
        self._campaigns = campaigns
        self._known: dict[str, tuple[int, str]] = {}
        self._tailing = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    def status(self, campaign_id: str) -> str:
        """ "draft", "sending", "paused", "cancelled" or "finished"; "paused" for a campaign never seen here."""
        known = self._known.get(campaign_id)
        return known[1] if known else UNSEEN

    def version(self, campaign_id: str) -> int:
        """Of the last change heard of; 0 for a campaign never seen here."""
        known = self._known.get(campaign_id)
        return known[0] if known else 0

    def when_changed(self, listener: Callable[[], None]) -> None:
        """`listener` is called after each change of any campaign."""
        self._listeners.append(listener)

    async def see(self, campaign_id: str) -> str:
        """Its status, loaded from the store the first time. Waits until the tail is being read, so that no change is missed."""
        if campaign_id not in self._known:
            await self._tailing.wait()
            campaign = await self._campaigns.find(campaign_id)
            if campaign is not None:
                self._note(campaign_id, campaign.status.value, campaign.version)
        return self.status(campaign_id)

    def _note(self, campaign_id: str, status: str, version: int) -> None:
        known = self._known.get(campaign_id)
        if known is None or known[0] < version:
            self._known[campaign_id] = (version, status)

    async def run(self) -> None:
        """A background. While the bus is away the statuses stay what they were: nothing is sent then anyhow (design §3, rule 4)."""
        positions: dict[tuple[str, int], int] | None = None
        while True:
            reader: Reader | None = None
            try:
                if positions is None:
                    positions = await self._ends()
                reader = await self._bus.reader(standing=True)
                await reader.assign(positions)
                self._tailing.set()
                while True:
                    for record in await reader.read(timeout=5.0):
                        positions[record.topic, record.partition] = record.offset + 1
                        self._note(*status_of(record.value))
                        for listener in self._listeners:
                            listener()
            except BusUnavailable as error:
                log.warning("campaign changes cannot be read", error=str(error))
                await asyncio.sleep(_AGAIN_AFTER_S)
            finally:
                if reader is not None:
                    await reader.close()

    async def _ends(self) -> dict[tuple[str, int], int]:
        return await end_offsets(self._bus, [(CAMPAIGNS, partition) for partition in range(self._bus.partitions)])
