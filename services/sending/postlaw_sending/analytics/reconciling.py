"""The figures held against the events that they were counted from, and against the ledger of settled batches (promise S8).

Each document is counted again up to where it counts itself, so that nothing has to stand still meanwhile. What is older than the log, whose
events are gone, is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus
from postlaw_common.bus.once import whole_topic
from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger
from postlaw_common.telemetry.gauges import Gauge
from postlaw_sending.analytics.counting import STATES, Cells
from postlaw_sending.analytics.figures import FigureSheets, Sheet
from postlaw_sending.analytics.wire import TOPICS, counted
from postlaw_sending.campaigns.domain.recipients import Tally
from postlaw_sending.campaigns.wire import OUTCOMES

SAID: Final = 1_000
SOON_S: Final = 3_600.0
EVERY_S: Final = 86_400.0
Difference = sending.ReconcileAnalyticsResponse.Difference

_log = get_logger("sending.analytics")
_differing = Gauge(
    "postlaw.sending.reconcile.differences", "{figure}", "Figures that differed when events and ledger were last counted again", max
)


class Reconcile:
    """`tally`: of the ledger's settled batches, by campaign."""

    def __init__(self, bus: Bus, sheets: FigureSheets, tally: Callable[[str], Awaitable[Tally]]) -> None:
        self._bus = bus
        self._sheets = sheets
        self._tally = tally
        self._differed: int | None = None  # as last looked at; None: not yet

    async def __call__(self, *, repair: bool) -> sending.ReconcileAnalyticsResponse:
        """Raises BusUnavailable, StoreUnavailable."""
        found: list[Difference] = []
        told: dict[str, Cells] = {}
        moving: set[str] = set()  # campaigns of which something has been counted on meanwhile, or whose events are gone
        for topic in TOPICS:
            for place, sheet in (await self._counted_again(topic)).items():
                stands = await self._one(place, sheet, found, repair=repair)
                if topic == OUTCOMES:
                    told.setdefault(sheet.campaign_id, Cells()).update(sheet.cells)
                    if not stands:
                        moving.add(sheet.campaign_id)
        for campaign_id in sorted(told.keys() - moving):
            await self._ledger(campaign_id, told[campaign_id], found)
        self._differed = len(found)
        if found:
            _log.alert("analytics, ledger and bus differ", differences=len(found), repaired=repair)
        return sending.ReconcileAnalyticsResponse(campaigns=len(told), differences=found[:SAID])

    async def run(self) -> None:
        """A background: an hour after the start, since processes may live for less than a day, and then daily. Several may look; nothing is
        changed by it."""
        with _differing.shows(lambda: self._differed):
            wait_s = SOON_S
            while True:
                await asyncio.sleep(wait_s)
                wait_s = EVERY_S
                try:
                    await self(repair=False)
                except OUTAGES as away:
                    wait_s = SOON_S
                    _log.warning("analytics were not held against the events", failure=type(away).__name__)

    async def _counted_again(self, topic: str) -> dict[str, Sheet]:
        """By place, up to where each document counts now: what is behind that is not looked at yet."""
        sheets: dict[str, Sheet] = {}
        ends: dict[str, int] = {}
        async with aclosing(whole_topic(self._bus, topic)) as pages:
            async for page in pages:
                for record in page:
                    one = counted(record)
                    if one is None:
                        continue
                    if one.place not in ends:
                        known = await self._sheets.find(one.place)
                        ends[one.place] = known[0].offset if known else one.offset
                    if one.offset <= ends[one.place]:
                        sheets.setdefault(one.place, Sheet(one.tenant_id, one.campaign_id)).add(one)
        return sheets

    async def _one(self, place: str, told: Sheet, found: list[Difference], *, repair: bool) -> bool:
        """Whether it can be held against the events: they are all there, and nobody counted on meanwhile."""
        known = await self._sheets.find(place)
        if known is None:
            sheet, version = Sheet(told.tenant_id, told.campaign_id), 0
        else:
            sheet, version = known
            if sheet.offset != told.offset or sheet.first < told.first:
                return False
        differing = [cell for cell in told.cells.keys() | sheet.cells.keys() if told.cells[cell] != sheet.cells[cell]]
        for cell in sorted(differing):
            if cell.startswith("t|"):
                figure = cell.rpartition("|")[2]
                found.append(Difference(campaign_id=told.campaign_id, figure=figure, events=told.cells[cell], found=sheet.cells[cell]))
        if repair and (differing or not version):
            await self._sheets.put(place, told, version)
        return True

    async def _ledger(self, campaign_id: str, told: Cells, found: list[Difference]) -> None:
        tally = await self._tally(campaign_id)
        for figure in STATES.values():
            events, ledger = told[f"t||{figure}"], getattr(tally, figure)
            if events != ledger:
                found.append(Difference(campaign_id=campaign_id, figure=figure, events=events, found=ledger, ledger=True))
