"""Reports' protobuf on one side, plain values on the other."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.wire import timestamp
from postlaw_sending.reports.report import Report
from postlaw_sending.returns.days import day_of

_KINDS = {"dmarc": sending.DomainReport.KIND_DMARC, "tls": sending.DomainReport.KIND_TLS}


def report_to_wire(domain: str, report: Report) -> sending.DomainReport:
    figures = report.domains[domain]
    return sending.DomainReport(
        kind=_KINDS[report.kind],
        day=day_of(report.begins_s * 1_000_000),
        reporter=report.reporter,
        report_id=report.report_id,
        begins_at=timestamp(report.begins_s * 1_000_000),
        ends_at=timestamp(report.ends_s * 1_000_000),
        passed=figures.passed,
        failed=figures.failed,
        dkim_aligned=figures.dkim_aligned,
        spf_aligned=figures.spf_aligned,
        quarantined=figures.quarantined,
        rejected=figures.rejected,
        causes=[sending.DomainReport.Cause(cause=cause, count=count) for cause, count in figures.causes.items()],
    )
