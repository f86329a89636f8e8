"""What is signed of a report: a text that people can read, with the hash of each file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from postlaw_audit.notes import Checkpoint
from postlaw_audit.reports.kinds.kind import at
from postlaw_audit.reports.report import Report

FIRST = "postlaw report/1"


def manifest(report: Report, digests: Mapping[str, str]) -> str:
    """`digests`: SHA-256 in hexadecimal, by the file's name."""
    whose, found = told_twice(
        report.report_id, report.tenant_id, report.kind, report.query, report.checkpoint, report.standing, report.totals,
        report.sample_size, report.seed,
    )  # fmt: skip
    when = f"requested {at(report.requested_us)} by {report.requested_by}", f"made {at(report.finished_us)}"
    hashes = (f"sha256 {digest} {name}" for name, digest in sorted(digests.items()))
    return "\n".join([FIRST, *map(one_line, (*whose, *when, *found, *hashes)), ""])


def told_twice(
    report_id: str,
    customer: str,
    kind: str,
    query: str,
    checkpoint: Checkpoint,
    standing: str,
    totals: Mapping[str, int],
    size: int,
    seed: str,
) -> tuple[list[str], list[str]]:
    """The note's lines that report.json says as well: whoever reads the one has read the other. `size`: of the sample."""
    whose = [f"report {report_id}", f"customer {customer}", f"kind {kind}", f"query {query}"]
    found = [
        f"checkpoint {checkpoint.origin} {checkpoint.size} {base64.b64encode(checkpoint.root).decode()}",
        standing,
        *(f"total {value} {name}" for name, value in totals.items()),
        f"sample of {size} by seed {seed}",
    ]
    return whose, found


def digests_in(text: str) -> dict[str, str]:
    """By the file's name, of a manifest."""
    found = (line.split(" ", 2) for line in text.splitlines() if line.startswith("sha256 "))
    return {name: digest for _, digest, name in found}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def one_line(text: str) -> str:
    """A value of others' own words (a key's name among the totals) makes no line of its own."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
