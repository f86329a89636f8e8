"""What is signed of a report: a text that people can read, with the hash of each file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from postlaw_audit.reports.kinds.kind import at
from postlaw_audit.reports.report import Report

FIRST = "postlaw report/1"


def manifest(report: Report, digests: Mapping[str, str]) -> str:
    """`digests`: SHA-256 in hexadecimal, by the file's name."""
    checkpoint = report.checkpoint
    lines = [
        FIRST,
        f"report {report.report_id}",
        f"customer {report.tenant_id}",
        f"kind {report.kind}",
        f"query {report.query}",
        f"requested {at(report.requested_us)} by {report.requested_by}",
        f"made {at(report.finished_us)}",
        f"checkpoint {checkpoint.origin} {checkpoint.size} {base64.b64encode(checkpoint.root).decode()}",
        report.standing,
        *(f"total {value} {name}" for name, value in report.totals.items()),
        f"sample of {report.sample_size} by seed {report.seed}",
        *(f"sha256 {digest} {name}" for name, digest in sorted(digests.items())),
    ]
    return "\n".join([*map(_one_line, lines), ""])


def digests_in(text: str) -> dict[str, str]:
    """By the file's name, of a manifest."""
    found = (line.split(" ", 2) for line in text.splitlines() if line.startswith("sha256 "))
    return {name: digest for _, digest, name in found}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _one_line(text: str) -> str:
    """A value of others' own words (a key's name among the totals) makes no line of its own."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
