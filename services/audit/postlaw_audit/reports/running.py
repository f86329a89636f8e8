"""Makes the reports that are asked for, one after the other, page by page. Whoever goes on after a crash goes on at the last page.

Two processes that take up the same one write the same pages; the document's version lets one of them note it, and the other leaves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from postlaw_audit.reports.documents import Kept, Reports
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.making import Making
from postlaw_audit.reports.report import Report
from postlaw_audit.reports.totals import UNDECODABLE, TotalsDiffer
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Unavailable
from postlaw_common.store import StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger, meter

OUTAGES = (BlobsUnavailable, BusUnavailable, StoreUnavailable, Unavailable)
_EVERY_S = 5.0

log = get_logger("audit.reports")
_ended = meter("postlaw.audit").create_counter(
    "postlaw.audit.reports", unit="{report}", description="Reports that ended, by kind and state"
)


class Running:
    def __init__(self, reports: Reports, gathering: Gathering, making: Making, now_us: Callable[[], int]) -> None:
        self._reports = reports
        self._gathering = gathering
        self._making = making
        self._now_us = now_us
        self._ready = asyncio.Event()

    def ready(self) -> None:
        """There is one to be made."""
        self._ready.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._ready.clear()
            try:
                for kept in await self._reports.open():
                    await self._tried(kept)
            except OUTAGES as away:
                log.warning("reports wait", failure=type(away).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await self._ready.wait()

    async def _tried(self, kept: Kept) -> None:
        """What one report cannot reach, perhaps never again (a tile that is gone), holds up no other customer's."""
        try:
            await self._bring_to_its_end(kept)
        except OUTAGES as away:
            log.warning("a report waits", report_id=kept.report.report_id, failure=type(away).__name__, reason=str(away))

    async def _bring_to_its_end(self, kept: Kept) -> None:
        try:
            ended = await self._made(kept)
        except VersionConflict:  # cancelled, or another process is ahead
            ended = (await self._reports.get(kept.report.tenant_id, kept.report.report_id)).report
            if ended.state == "cancelled":
                await self._gathering.forget_pages(ended, further=1)
            return
        if left_out := ended.totals.get(UNDECODABLE, 0):
            log.warning("entries of a report could not be decoded", report_id=ended.report_id, kind=ended.kind, entries=left_out)
        _ended.add(1, {"kind": ended.kind, "state": ended.state})
        await self._gathering.forget_pages(ended)

    async def _made(self, kept: Kept) -> Report:
        """Raises VersionConflict where somebody else has written it; OUTAGES: it is taken up again."""
        kept = await self._reports.save(kept, replace(kept.report, state="running"))
        try:
            report, more = await self._gathering.next_page(kept.report)
            while more:
                kept = await self._reports.save(kept, report)
                report, more = await self._gathering.next_page(report)
            return (await self._reports.save(kept, await self._making.make(report))).report
        except TotalsDiffer as differ:
            return await self._failed(kept, str(differ))
        except (*OUTAGES, VersionConflict):
            raise
        except Exception as fault:
            return await self._failed(kept, "The failure is on our side, and is in our log under this report's id.", fault)

    async def _failed(self, kept: Kept, why: str, fault: Exception | None = None) -> Report:
        log.error("a report failed", report_id=kept.report.report_id, kind=kept.report.kind, reason=why, exc_info=fault)
        return (await self._reports.save(kept, replace(kept.report, state="failed", failure=why, finished_us=self._now_us()))).report
