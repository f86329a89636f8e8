"""A customer takes out the list of those who said stop: for compliance, with a purpose, and only once another has approved.

What is listed is read from the ledger partition by partition, in constant memory; addresses are asked of subscribers, a page at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from postlaw_common.csv_lines import csv_lines
from postlaw_common.errors import Conflict, Denied
from postlaw_common.foreground import step_aside
from postlaw_common.ids import new_id
from postlaw_common.ordered_text import to_bytes
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.event import Actor
from postlaw_consent.domain.fact import Fact, fact_of
from postlaw_consent.domain.suppression import Suppression, suppressions_of
from postlaw_consent.domain.suppression_export import SuppressionExport
from postlaw_consent.ledger import Ledger, person_in
from postlaw_consent.suppression_exports import SuppressionExports
from postlaw_law.clocks import instant

HEADER = ("address", "address_key", "scope", "reason", "since")
_TOGETHER = 500  # people whose addresses are asked for at once
_AT_ONCE = 100  # documents read before others get their turn on the event loop

Addresses = Callable[[Sequence[bytes]], Awaitable[list[str]]]
_Listed = tuple[bytes, list[Suppression]]


class ExportSuppressions:
    """`addresses`: of these people, in their order, "" where nobody is known any more."""

    def __init__(
        self, exports: SuppressionExports, ledger: Ledger, addresses: Addresses, afterwards: Afterwards, now_us: Callable[[], int]
    ) -> None:
        self._exports = exports
        self._ledger = ledger
        self._addresses = addresses
        self._afterwards = afterwards
        self._now_us = now_us

    async def request(self, tenant_id: str, actor: Actor, purpose: str, idempotency_key: str) -> SuppressionExport:
        """Raises KeyReused."""
        export = SuppressionExport(tenant_id, new_id("sxp"), purpose, str(actor), self._now_us())
        return await self._exports.insert(export, idempotency_key)

    async def get(self, tenant_id: str, export_id: str) -> SuppressionExport:
        """Raises NotFound."""
        return await self._exports.get(tenant_id, export_id)

    async def approve(self, tenant_id: str, actor: Actor, export_id: str) -> SuppressionExport:
        """Approved already: as it is. Raises NotFound; Denied for whoever asked for it."""

        def approved(export: SuppressionExport) -> SuppressionExport:
            if export.requested_by == str(actor):
                raise Denied("Whoever asked for an export cannot approve it: another credential must.", type="approval-by-another")
            if export.approved_us:
                return export
            return replace(export, approved_by=str(actor), approved_us=self._now_us())

        return await self._exports.change(tenant_id, export_id, approved)

    async def take(self, tenant_id: str, actor: Actor, export_id: str) -> AsyncGenerator[bytes]:
        """The CSV, in parts. Taking is told to the log before the first byte leaves, and how many rows left after the last.

        Raises NotFound; Conflict where it may not be taken; StoreUnavailable and PostlawError also amid the parts."""

        def taken(export: SuppressionExport) -> SuppressionExport:
            if (state := export.state(self._now_us())) != "approved":
                raise Conflict(
                    f"This export is {state}: it can be taken once, within 24 hours of its approval.", type="export-not-approved"
                )
            return replace(export, taken_by=str(actor), taken_us=self._now_us())

        await self._exports.change(tenant_id, export_id, taken)
        rows, complete = 0, False
        try:
            yield csv_lines([HEADER])
            async with aclosing(self._listed(tenant_id)) as pages:
                async for people in pages:
                    lines = await self._lines(people)
                    rows += len(lines)
                    yield csv_lines(lines)
            complete = True
        finally:  # of its own: the client may have gone, and the log must know all the same
            self._afterwards.begin(self._end(tenant_id, export_id, rows, complete), what="telling how many rows left")

    async def _end(self, tenant_id: str, export_id: str, rows: int, complete: bool) -> None:
        ended_us = self._now_us()
        await self._exports.change(tenant_id, export_id, lambda export: replace(export, ended_us=ended_us, rows=rows, complete=complete))

    async def _listed(self, tenant_id: str) -> AsyncGenerator[list[_Listed]]:
        """Everyone of whom something is closed, in pages."""
        await self._ledger.fence()
        listed: list[_Listed] = []
        for partition in range(self._ledger.partitions):
            async with aclosing(self._histories(tenant_id, partition)) as histories:
                async for address_key, history in histories:
                    if found := suppressions_of(history, self._now_us()):
                        listed.append((address_key, found))
                    if len(listed) == _TOGETHER:
                        yield listed
                        listed = []
        if listed:
            yield listed

    async def _histories(self, tenant_id: str, partition: int) -> AsyncGenerator[tuple[bytes, list[Fact]]]:
        person = ""
        history: list[Fact] = []
        async with aclosing(self._ledger.partition(tenant_id, partition)) as pages:
            async for page in pages:
                for place, document in enumerate(page):
                    if place % _AT_ONCE == 0:
                        await step_aside()
                    if (of := person_in(document)) != person:
                        if history:
                            yield to_bytes(person.rpartition("/")[2]), history
                        person, history = of, []
                    history.append(fact_of(int(document["_id"][-8:]), document["fact"]))
        if history:
            yield to_bytes(person.rpartition("/")[2]), history

    async def _lines(self, people: Sequence[_Listed]) -> list[tuple[str, ...]]:
        addresses = await self._addresses([address_key for address_key, _ in people])
        return [
            (address, address_key.hex(), one.scope, one.reason, instant(one.since_us).isoformat())
            for (address_key, found), address in zip(people, addresses, strict=True)
            for one in found
        ]
