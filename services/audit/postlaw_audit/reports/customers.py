"""Which customers there are, a document each: heard from identity's events, and by whoever asks for a report. It says the last day (UTC,
since the epoch) of which a customer has had a daily report, and on which day such reports were found to be of days that were not over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from collections.abc import Collection as Several
from typing import Final

from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_common.bus import Received
from postlaw_common.store import Collection, CollectionSpec, Document

CUSTOMERS = CollectionSpec("report_customers")
TOPIC: Final = "postlaw.identity.events.v1"
GROUP: Final = "audit-customers"
DAY_US: Final = 86_400_000_000
_CREATED = b"postlaw.identity.TenantCreated"


class Customers:
    def __init__(self, collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._collection = collection
        self._now_us = now_us

    async def hear(self, records: list[Received]) -> None:
        """Of identity's events: who is a customer from now on."""
        await self.know(
            {
                identity.TenantCreated.FromString(record.value).tenant.tenant_id
                for record in records
                if record.headers.get("ce_type") == _CREATED
            }
        )

    async def know(self, tenant_ids: Several[str]) -> None:
        """Those that are new, with the day before as one that needs no report."""
        if tenant_ids:
            last_day = self._now_us() // DAY_US - 1
            await self._collection().insert_many([{"_id": tenant_id, "last_day": last_day} for tenant_id in sorted(tenant_ids)])

    def scan(self) -> AsyncIterator[list[Document]]:
        return self._collection().scan()

    async def has_had(self, customer: Document, day: int) -> Document:
        """As it then stands. Raises VersionConflict."""
        return await self._collection().replace(customer | {"last_day": day}, version=customer["v"])

    async def set_back(self, customer: Document, today: int) -> Document:
        """As it then stands: the days from this one on are to come. Raises VersionConflict."""
        return await self._collection().replace(customer | {"last_day": today - 1, "set_back": today}, version=customer["v"])
