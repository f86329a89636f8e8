"""A report to each customer of each of their days (UTC), which carries a checkpoint: whoever keeps them can tell later whether the log was
changed behind one. Which day each has had stands in their document; their webhooks are told of each (sending, `report.ready`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from postlaw_audit.reports.asking import Asking
from postlaw_audit.reports.customers import DAY_US, Customers
from postlaw_audit.reports.kinds.activity import DAILY
from postlaw_audit.reports.kinds.kind import day
from postlaw_audit.reports.running import OUTAGES
from postlaw_common.store import Document, VersionConflict
from postlaw_common.telemetry import get_logger

AFTER_US: Final = 300_000_000  # past midnight: the log has what the bus took before, and witnesses have seen it
_EVERY_S = 60.0

log = get_logger("audit.reports")


class Daily:
    def __init__(self, customers: Customers, asking: Asking, now_us: Callable[[], int]) -> None:
        self._customers = customers
        self._asking = asking
        self._now_us = now_us

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.ask_for_what_is_due()
            except OUTAGES as away:
                log.warning("daily reports wait", failure=type(away).__name__)
            await asyncio.sleep(_EVERY_S)

    async def ask_for_what_is_due(self) -> None:
        """One for each customer and each whole day that has had none: after an outage of days, all of them."""
        whole = (self._now_us() - AFTER_US) // DAY_US  # days before it are over
        async for page in self._customers.scan():
            for customer in page:
                try:
                    customer = await self._set_back(customer, whole)
                except VersionConflict:
                    continue
                again = f", again since {day(customer['set_back'] * DAY_US)}" if "set_back" in customer else ""
                for number in range(customer["last_day"] + 1, whole):
                    since_us = number * DAY_US
                    try:
                        await self._asking.ask(
                            customer["_id"], DAILY.name, since_us, since_us + DAY_US, by="service:audit",
                            idempotency_key=f"daily report of {day(since_us)}{again}",
                        )  # fmt: skip
                        customer = await self._customers.has_had(customer, number)
                    except VersionConflict:
                        break  # another process is at it

    async def _set_back(self, customer: Document, today: int) -> Document:
        """Where there are reports of days that are not over, some clock of ours had run ahead: those say nothing, and are made again as
        their days end. Once a day at most, in case that clock still does; a day that only just ended by another's clock is none."""
        if customer["last_day"] <= today or customer.get("set_back") == today:
            return customer
        log.error("daily reports of days to come: a clock had run ahead", days=customer["last_day"] - today + 1)
        return await self._customers.set_back(customer, today)
