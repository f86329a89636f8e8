"""The report of refused rows, and of those that were taken with a warning: a CSV that a spreadsheet can open without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADER = ("row", "reason", "column")
WARNING = "warning:"  # before the reason of a row that was taken
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`column` names the cell at fault, where one is."""

    row: int
    reason: str
    column: str
    cells: Sequence[str]


def defused(cell: str) -> str:
    """The cell as text for any spreadsheet: one that would be read as a formula gets an apostrophe in front (OWASP: CSV injection)."""
    return "'" + cell if cell.startswith(_STARTS_FORMULA) else cell


def header_line(names: Sequence[str]) -> bytes:
    return _csv([(*HEADER, *map(defused, names))])


def lines(refusals: Iterable[Refusal]) -> bytes:
    """NULs are left out: most programs end a file at the first."""
    return _csv(
        (str(refusal.row), refusal.reason, defused(refusal.column), *(defused(cell.replace("\0", "")) for cell in refusal.cells))
        for refusal in refusals
    )


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
