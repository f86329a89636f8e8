"""Reports have a life. At its end a report is told to the log as expired, then its files go, then its document: what stays are the log's
own entries of it, with the note that it was given out under (the SHA-256 of each file, its query, its totals).

A report's files are never put under retention, so nothing holds them. Where somebody has locked one by hand, the report stays expired, and
its files are looked at again until the lock ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from postlaw_audit.reports.customers import Customers
from postlaw_audit.reports.documents import Kept, Reports
from postlaw_audit.reports.running import OUTAGES
from postlaw_common.blobs import BlobRetained, Blobs
from postlaw_common.foreground import step_aside
from postlaw_common.store import VersionConflict
from postlaw_common.telemetry import get_logger

EVERY_S: Final = 3600.0
_A_PAGE = 20  # reports: most customers have none that is due

log = get_logger("audit.reports")


class Expiring:
    """`life_us`: from when a report was asked for."""

    def __init__(self, customers: Customers, reports: Reports, blobs: Blobs, life_us: int, now_us: Callable[[], int]) -> None:
        self._customers = customers
        self._reports = reports
        self._blobs = blobs
        self._life_us = life_us
        self._now_us = now_us

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if removed := await self.once():
                    log.info("reports past their life are removed", reports=removed)
            except OUTAGES as away:
                log.warning("reports past their life wait", failure=type(away).__name__)
            await asyncio.sleep(EVERY_S)

    async def once(self) -> int:
        """How many reports lost their files; several processes may do so at once."""
        removed = 0
        async for page in self._customers.scan():
            for customer in page:
                removed += await self._of(customer["_id"])
                await step_aside()
        return removed

    async def _of(self, tenant_id: str) -> int:
        """Those of a customer, the oldest first, up to the first that is younger."""
        removed, after, before_us = 0, "", self._now_us() - self._life_us
        while page := await self._reports.page(tenant_id, after, _A_PAGE):
            for kept in page:
                if kept.report.requested_us > before_us:
                    return removed
                if not kept.report.open:
                    removed += await self._expire(kept)
            after = page[-1].report.report_id
        return removed

    async def _expire(self, kept: Kept) -> bool:
        """Whether it has lost its files now. In this order, since whoever goes on after a crash finds it by its document."""
        fresh = kept.report.state != "expired"
        try:
            if fresh:
                kept = await self._reports.save(kept, replace(kept.report, state="expired", files=()))
            for key in [key async for key in self._blobs.keys(kept.report.file(""))]:
                await self._blobs.delete(key)
            await self._reports.remove(kept)
        except BlobRetained:
            log.warning("an expired report's file is under retention", report_id=kept.report.report_id)
            return False
        except VersionConflict:
            log.debug("another process is at this report", report_id=kept.report.report_id)
            return False
        return fresh
