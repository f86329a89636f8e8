"""Reports, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_sending.domains.assembly import DomainParts
from postlaw_sending.forgetting import forgetting
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.reports.documents import REPORTS, Reports
from postlaw_sending.reports.read_reports import ReadReports
from postlaw_sending.reports.take_reports import TakeReports

COLLECTIONS = (REPORTS,)


@dataclass(frozen=True, slots=True)
class ReportParts:
    """`forgetting` runs beside the API."""

    take: TakeReports
    read: ReadReports
    forgetting: Background


def assemble_reports(platform: Platform, database: str, domains: DomainParts, paths: ReturnPaths) -> ReportParts:
    """`database`: sending's own."""
    store = platform.store(database)
    reports = Reports(lambda: store.collection(REPORTS.name), platform.now_us)
    return ReportParts(
        TakeReports(domains.domains, reports, platform.now_us),
        ReadReports(domains.keep, reports, paths.reports_of, platform.now_us),
        forgetting("forgetting reports", reports.forget),
    )
