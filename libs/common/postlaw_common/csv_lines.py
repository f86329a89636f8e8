"""CSV (RFC 4180) that a spreadsheet can open without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FULL_WIDTH = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # which Japanese Excel reads like the first four
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *_FULL_WIDTH)


def defused(cell: str) -> str:
    """The cell as text for any spreadsheet: one that would be read as a formula gets an apostrophe in front (OWASP: CSV injection)."""
    return "'" + cell if cell.startswith(_STARTS_FORMULA) else cell


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8. Cells stand as they are: what others wrote is to be `defused` before."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
