"""A report that came at a customer's address for reports, kept for those domains of theirs that it is about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postlaw_sending.domains.sender_domains import SenderDomains
from postlaw_sending.reports.documents import Reports
from postlaw_sending.reports.reading import report_in
from postlaw_sending.reports.report import Figures, Malformed, Report

_DAY_S = 86_400
_OLDEST_S = 60 * _DAY_S
_PAGE = 1000


class TakeReports:
    def __init__(self, domains: SenderDomains, reports: Reports, now_us: Callable[[], int]) -> None:
        self._domains = domains
        self._reports = reports
        self._now_us = now_us
        self._one = asyncio.Lock()

    async def __call__(self, tenant_id: str, mail: bytes) -> None:
        """Durable when it returns. Raises Malformed where it is no report of a domain of theirs, of a time that can be meant; Full,
        StoreUnavailable."""
        registered = await self._registered(tenant_id)
        async with self._one:  # a large one takes half a second of a core, and who sends them is a stranger
            report, about = await asyncio.to_thread(_read, mail, registered)
        now_s = self._now_us() // 1_000_000
        if not now_s - _OLDEST_S <= report.begins_s <= report.ends_s <= now_s + _DAY_S:
            raise Malformed("its time cannot be meant")
        if not about:
            raise Malformed("it is about no domain of theirs")
        for domain, figures in about.items():
            await self._reports.keep(tenant_id, domain, report, figures)

    async def _registered(self, tenant_id: str) -> set[str]:
        names: set[str] = set()
        after = ""
        while page := await self._domains.page(tenant_id, after=after, limit=_PAGE):
            names.update(domain.domain for domain in page)
            after = page[-1].domain
        return names


def _read(mail: bytes, registered: set[str]) -> tuple[Report, dict[str, Figures]]:
    report = report_in(mail)
    return report, _by_registered(report, registered)


def _by_registered(report: Report, registered: set[str]) -> dict[str, Figures]:
    """What is said of a domain below one that is registered counts there."""
    about: dict[str, Figures] = {}
    for name, figures in report.domains.items():
        above = name
        while above and above not in registered:
            above = above.partition(".")[2]
        if above:
            about.setdefault(above, Figures()).add(figures)
    return about
