"""A report to each customer of each of their days (UTC), which carries a checkpoint: whoever keeps them can tell later whether the log was
changed behind one. Which customers there are is heard from identity; which day each has had stands in their document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_audit.reports.asking import Asking
from postlaw_audit.reports.kinds.activity import DAILY
from postlaw_audit.reports.kinds.kind import day
from postlaw_audit.reports.running import OUTAGES
from postlaw_common.bus import Received
from postlaw_common.store import Collection, CollectionSpec, VersionConflict
from postlaw_common.telemetry import get_logger

CUSTOMERS = CollectionSpec("report_customers")
TOPIC: Final = "postlaw.identity.events.v1"
GROUP: Final = "audit-customers"
DAY_US: Final = 86_400_000_000
AFTER_US: Final = 300_000_000  # past midnight: the log has what the bus took before, and witnesses have seen it
_EVERY_S = 60.0
_CREATED = b"postlaw.identity.TenantCreated"

log = get_logger("audit.reports")


class Daily:
    def __init__(self, customers: Callable[[], Collection], asking: Asking, now_us: Callable[[], int]) -> None:
        self._customers = customers
        self._asking = asking
        self._now_us = now_us

    async def hear(self, records: list[Received]) -> None:
        """Of identity's events: who is a customer from now on, with the day before as one that needs no report."""
        today = self._now_us() // DAY_US
        found = {
            identity.TenantCreated.FromString(record.value).tenant.tenant_id
            for record in records
            if record.headers.get("ce_type") == _CREATED
        }
        if found:
            await self._customers().insert_many([{"_id": tenant_id, "last_day": today - 1} for tenant_id in sorted(found)])

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
        async for page in self._customers().scan():
            for customer in page:
                for number in range(customer["last_day"] + 1, whole):
                    since_us = number * DAY_US
                    try:
                        await self._asking.ask(
                            customer["_id"], DAILY.name, since_us, since_us + DAY_US, by="service:audit",
                            idempotency_key=f"daily report of {day(since_us)}",
                        )  # fmt: skip
                        customer = await self._customers().replace(customer | {"last_day": number}, version=customer["v"])
                    except VersionConflict:
                        break  # another process is at it
