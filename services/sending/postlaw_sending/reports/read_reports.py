"""What is kept of a domain's reports, for the customer whose domain it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.domains.use_cases.keep_domains import DEFAULT_PAGE, LARGEST_PAGE, KeepDomains
from postlaw_sending.reports.documents import Reports
from postlaw_sending.reports.report import Report
from postlaw_sending.returns.days import day_of

DEFAULT_DAYS = 30


class ReadReports:
    """`address`: where a customer's reports arrive, by their id; "" where nothing is taken."""

    def __init__(self, domains: KeepDomains, reports: Reports, address: Callable[[str], str], now_us: Callable[[], int]) -> None:
        self._domains = domains
        self._reports = reports
        self._address = address
        self._now_us = now_us

    async def __call__(self, domain: str, since: str, page_size: int, page_token: str) -> tuple[str, list[Report], str, str]:
        """(the domain, its reports from that day on, the token of the next page, where reports arrive). Raises Invalid, NotFound."""
        found = await self._domains.get(domain)
        if page_size < 0:
            raise Invalid("The page cannot be that small.", fields=[FieldError("page_size", f"give 1 to {LARGEST_PAGE}")])
        limit = min(page_size or DEFAULT_PAGE, LARGEST_PAGE)
        after = page_token or _day(since) or day_of(self._now_us(), DEFAULT_DAYS)
        page = await self._reports.page(found.tenant_id, found.domain, after=after, limit=limit)
        next_page = page[-1][0] if len(page) == limit else ""
        return found.domain, [report for _, report in page], next_page, self._address(found.tenant_id)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise Invalid("That is no day.", fields=[FieldError("since", "give a date like 2026-11-26")]) from None
