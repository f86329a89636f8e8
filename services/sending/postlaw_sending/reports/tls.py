"""TLS reports (RFC 8460 §4.4): how the sessions ended by which others brought mail to a customer's domain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from postlaw_sending.reports.report import LARGEST_COUNT, Figures, Malformed, Report, plain

_MOST: Final = 1_000  # policies, and details of one

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)]


class _Kebab(msgspec.Struct, rename="kebab"):
    """Fields are written as-these."""


class _Range(_Kebab):
    start_datetime: str
    end_datetime: str


class _Policy(_Kebab):
    policy_domain: str


class _Summary(_Kebab):
    total_successful_session_count: Count
    total_failure_session_count: Count


class _Failure(_Kebab):
    result_type: str
    failed_session_count: Count


class _Judged(_Kebab):
    policy: _Policy
    summary: _Summary
    failure_details: Annotated[list[_Failure], msgspec.Meta(max_length=_MOST)] = []


class _Report(_Kebab):
    organization_name: str
    report_id: str
    date_range: _Range
    policies: Annotated[list[_Judged], msgspec.Meta(max_length=_MOST)]


_decode = msgspec.json.Decoder(_Report).decode


def read_tls(data: bytes) -> Report:
    """Raises Malformed."""
    try:
        told = _decode(data)
        begins_s, ends_s = _seconds(told.date_range.start_datetime), _seconds(told.date_range.end_datetime)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as wrong:
        raise Malformed(f"its JSON cannot be read: {type(wrong).__name__}") from wrong
    report = Report("tls", plain(told.organization_name), plain(told.report_id), begins_s, ends_s)
    if not report.reporter or not report.report_id:
        raise Malformed("it does not say whose report it is")
    for judged in told.policies:
        figures = Figures(judged.summary.total_successful_session_count, judged.summary.total_failure_session_count)
        for failure in judged.failure_details:
            figures.causes[plain(failure.result_type)] += failure.failed_session_count
        report.count(judged.policy.policy_domain, figures)
    return report


def _seconds(text: str) -> int:
    """Of RFC 3339; one without a zone is UTC."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
