"""Reports in the store: a document for each report and domain, `_id` = customer / domain / the day that it begins on / a digest of who
says it under which name. A report that comes again is there already (RFC 7489 §7.2.1.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index
from postlaw_sending.reports.report import MOST_CAUSES, Figures, Report
from postlaw_sending.returns.days import day_of, forget_old

REPORTS: Final = CollectionSpec("domain_reports", (Index("of"), Index("came"), Index("came_on")))
KEPT_DAYS: Final = 90
MOST_A_DAY: Final = 500  # of one domain; large senders hear from some hundred receivers


class Full(Exception):
    """More reports of a domain have come today than are kept."""


class Reports:
    """`collection`: `domain_reports` of the database `sending`. Every method raises StoreUnavailable."""

    def __init__(self, collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._open = collection
        self._now_us = now_us

    async def keep(self, tenant_id: str, domain: str, report: Report, figures: Figures) -> None:
        """Durable when it returns; a repeat changes nothing. Raises Full."""
        today = day_of(self._now_us())
        came = f"{tenant_id}/{domain}/{today}"
        if await self._open().count("came", came) >= MOST_A_DAY:
            raise Full
        named = hashlib.sha256("\0".join([report.kind, report.reporter, report.report_id]).encode()).hexdigest()[:32]
        document: Document = {
            "_id": f"{tenant_id}/{domain}/{day_of(report.begins_s * 1_000_000)}/{named}",
            "of": f"{tenant_id}/{domain}",
            "came": came,
            "came_on": today,
            "kind": report.kind,
            "reporter": report.reporter,
            "report_id": report.report_id,
            "begins_s": report.begins_s,
            "ends_s": report.ends_s,
            "figures": asdict(figures) | {"causes": dict(figures.causes.most_common(MOST_CAUSES))},
        }
        with suppress(AlreadyExists):
            await self._open().insert(document)

    async def page(self, tenant_id: str, domain: str, *, after: str, limit: int) -> list[tuple[str, Report]]:
        """By day: (where it stands, the report with this domain alone). `after`: such a place, or a date, which comes before its own."""
        of = f"{tenant_id}/{domain}"
        found = await self._open().find("of", of, after=f"{of}/{after}", limit=limit)
        return [(document["_id"].removeprefix(f"{of}/"), _report(domain, document)) for document in found]

    async def forget(self) -> int:
        """Removes what came more than KEPT_DAYS ago; returns how many."""
        return await forget_old(self._open(), "came_on", self._now_us(), KEPT_DAYS)


def _report(domain: str, document: Document) -> Report:
    report = Report(document["kind"], document["reporter"], document["report_id"], document["begins_s"], document["ends_s"])
    report.count(domain, Figures(**document["figures"]))
    return report
