"""gRPC → reports, of the caller's own customer alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.reports.asking import Asking
from postlaw_audit.reports.customers import Customers
from postlaw_audit.reports.documents import Reports
from postlaw_audit.reports.processors import SubProcessors
from postlaw_audit.reports.report import Report
from postlaw_audit.reports.wire import file_of, kind_named, report_to_wire
from postlaw_audit.search.calls import customer
from postlaw_common.blobs import Blobs
from postlaw_common.caller import current
from postlaw_common.errors import Conflict, NotFound, RateLimited

MOST, USUAL = 200, 50
MOST_OPEN = 20  # reports of a customer: they are made one after the other, and others' come in between


class ReportCalls:
    """`life_us`: of a report, from when it was asked for."""

    def __init__(
        self, asking: Asking, reports: Reports, customers: Customers, processors: SubProcessors, blobs: Blobs, life_us: int
    ) -> None:
        self._asking = asking
        self._reports = reports
        self.processors = processors
        self._customers = customers
        self._blobs = blobs
        self._life_us = life_us

    async def create(self, request: audit.CreateReportRequest) -> audit.Report:
        if sum(kept.report.tenant_id == customer() for kept in await self._reports.open()) >= MOST_OPEN:
            raise RateLimited(f"{MOST_OPEN} reports of yours are being made: wait for one, or cancel it.")
        await self._customers.know([customer()])
        report = await self._asking.ask(
            customer(),
            kind_named(request.kind),
            request.since.ToMicroseconds(),
            request.until.ToMicroseconds(),
            by=str(current().actor),
            seed=request.seed,
            sample_size=request.sample_size,
            idempotency_key=request.idempotency_key,
        )
        return self._told(report)

    async def get(self, request: audit.GetReportRequest) -> audit.Report:
        return self._told((await self._reports.get(customer(), request.report_id)).report)

    async def list(self, request: audit.ListReportsRequest) -> audit.ListReportsResponse:
        size = min(MOST, request.page_size) if request.page_size > 0 else USUAL
        found = await self._reports.page(customer(), request.page_token, size + 1)
        shown = [kept.report for kept in found[:size]]
        token = shown[-1].report_id if len(found) > size else ""
        return audit.ListReportsResponse(reports=map(self._told, shown), next_page_token=token)

    async def cancel(self, request: audit.GetReportRequest) -> audit.Report:
        return self._told(await self._asking.cancel(customer(), request.report_id))

    async def file(self, request: audit.GetReportFileRequest) -> AsyncGenerator[audit.ReportPiece]:
        """Raises NotFound, Conflict while it is not made."""
        report = (await self._reports.get(customer(), request.report_id)).report
        name = file_of(request.format)
        if report.state != "done":
            raise Conflict(f"This report is {report.state}: it has no files.", type="report-not-done")
        if name not in report.files:
            raise NotFound(report.printed or "This report has no such file.", type="no-pdf")
        async for data in self._blobs.stream(report.file(name)):
            yield audit.ReportPiece(data=data)

    def _told(self, report: Report) -> audit.Report:
        told = report_to_wire(report)
        told.kept_until.FromMicroseconds(report.requested_us + self._life_us)
        return told
