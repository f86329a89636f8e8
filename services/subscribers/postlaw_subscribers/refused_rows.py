"""The report of refused rows, and of those that were taken with a warning: a CSV that a spreadsheet can open without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postlaw_common.csv_lines import csv_lines, defused

HEADER = ("row", "reason", "column")
WARNING = "warning:"  # before the reason of a row that was taken


@dataclass(frozen=True, slots=True)
class Refusal:
    """`column` names the cell at fault, where one is."""

    row: int
    reason: str
    column: str
    cells: Sequence[str]


def header_line(names: Sequence[str]) -> bytes:
    return csv_lines([(*HEADER, *map(defused, names))])


def lines(refusals: Iterable[Refusal]) -> bytes:
    """NULs are left out: most programs end a file at the first."""
    return csv_lines(
        (str(refusal.row), refusal.reason, defused(refusal.column), *(defused(cell.replace("\0", "")) for cell in refusal.cells))
        for refusal in refusals
    )
