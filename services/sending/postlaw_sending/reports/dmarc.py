"""DMARC aggregate reports: RFC 7489 appendix C, and its successor's namespace (RFC 9990). No DTD, no entity, nothing outside is read."""

from __future__ import annotations

import io
from ipaddress import ip_address
from typing import Any, Final

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from postlaw_sending.reports.report import LARGEST_COUNT, Figures, Malformed, Report, plain

_DEEPEST: Final = 16
_MOST_ELEMENTS: Final = 200_000  # some ten thousand records


def read_dmarc(xml: bytes) -> Report:
    """Raises Malformed."""
    report = Report("dmarc", "", "", 0, 0)
    try:
        for part in _parts(xml):
            if part.tag == "report_metadata":
                report.reporter = plain(part.findtext("org_name"))
                report.report_id = plain(part.findtext("report_id"))
                report.begins_s = _number(part.findtext("date_range/begin"))
                report.ends_s = _number(part.findtext("date_range/end"))
            elif part.tag == "record":
                report.count(part.findtext("identifiers/header_from") or "", _figures(part))
    except (ParseError, DefusedXmlException, ValueError, LookupError, TypeError) as wrong:
        raise Malformed(f"its XML cannot be read: {type(wrong).__name__}") from wrong
    if not report.reporter or not report.report_id:
        raise Malformed("it does not say whose report it is")
    return report


def _parts(xml: bytes) -> Any:
    """The root's children, whole, with names that have no namespace; each is let go after."""
    root: Any = None
    depth = elements = 0
    for event, element in iterparse(io.BytesIO(xml), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            element.tag = element.tag.rpartition("}")[2]
            depth, elements = depth + 1, elements + 1
            if root is None:
                root = element
            if depth > _DEEPEST or elements > _MOST_ELEMENTS or root.tag != "feedback":
                raise ValueError("it is no report")
        else:
            depth -= 1
            if depth == 1:
                yield element
                root.clear()


def _figures(record: Any) -> Figures:
    count = _number(record.findtext("row/count"))
    evaluated = {name: (record.findtext(f"row/policy_evaluated/{name}") or "").strip().lower() for name in ("disposition", "dkim", "spf")}
    dkim, spf = evaluated["dkim"] == "pass", evaluated["spf"] == "pass"
    figures = Figures(dkim_aligned=count * dkim, spf_aligned=count * spf)
    if dkim or spf:
        figures.passed = count
    else:
        figures.failed = count
        figures.causes[str(ip_address((record.findtext("row/source_ip") or "").strip()))] = count
    if evaluated["disposition"] == "quarantine":
        figures.quarantined = count
    elif evaluated["disposition"] == "reject":
        figures.rejected = count
    return figures


def _number(text: str | None) -> int:
    digits = (text or "").strip()
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 13 or int(digits) > LARGEST_COUNT:
        raise ValueError("no number")
    return int(digits)
