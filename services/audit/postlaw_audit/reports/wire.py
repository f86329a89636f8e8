"""Reports as protobuf: what is answered, and what the log is told."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.reports.report import Report

_FORMATS = {
    audit.GetReportFileRequest.FORMAT_HTML: "report.html",
    audit.GetReportFileRequest.FORMAT_PDF: "report.pdf",
    audit.GetReportFileRequest.FORMAT_CSV: "report.csv",
    audit.GetReportFileRequest.FORMAT_JSON: "report.json",
}


def kind_named(kind: audit.Report.Kind.ValueType) -> str:
    return audit.Report.Kind.Name(kind).removeprefix("KIND_").lower()


def file_of(format: audit.GetReportFileRequest.Format.ValueType) -> str:
    return _FORMATS[format]


def report_to_wire(report: Report) -> audit.Report:
    checkpoint = report.checkpoint
    return audit.Report(
        report_id=report.report_id,
        kind=audit.Report.Kind.Value(f"KIND_{report.kind.upper()}"),
        state=audit.Report.State.Value(f"STATE_{report.state.upper()}"),
        since=_stamp(report.since_us),
        until=_stamp(report.until_us),
        query=report.query,
        checkpoint=audit.Checkpoint(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root_hash=checkpoint.root,
            note=report.checkpoint_note,
            witnesses=report.witnesses,
        ),
        unwitnessed=not report.witnesses,
        percent=report.percent,
        events=report.events,
        rows=report.rows,
        totals=report.totals,
        seed=report.seed,
        sample_size=report.sample_size,
        requested_by=report.requested_by,
        requested_at=_stamp(report.requested_us),
        finished_at=_stamp(report.finished_us),
        failure=report.failure,
        note=report.note,
        links=[f"/v1/reports/{report.report_id}/{name.removeprefix('report.')}" for name in report.files],
        printed=report.printed,
        version=report.revision,
    )


def encode(report: Report) -> bytes:
    """The event that tells the log of it."""
    return audit.ReportChanged(tenant_id=report.tenant_id, report=report_to_wire(report)).SerializeToString()


def _stamp(us: int) -> Timestamp | None:
    if not us:
        return None
    made = Timestamp()
    made.FromMicroseconds(us)
    return made
