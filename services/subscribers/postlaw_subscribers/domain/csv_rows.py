"""Rows out of a CSV text that arrives in pieces, in bounded memory (RFC 4180, read leniently).

The text is UTF-8 with LF line ends (uploads.py saw to that). One bad row never costs its neighbours: where quotes do not add up, or a
row is too long, the first line of it is refused and reading goes on with the very next line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

ROW_LIMIT = 10_240  # characters of one row's cells; and bytes that are held of a row whose end has not come

ROW_TOO_LONG = "row_too_long"
UNCLOSED_QUOTE = "unclosed_quote"
BAD_QUOTES = "bad_quotes"

csv.field_size_limit(1 << 24)  # a cell is bounded by ROW_LIMIT; the module's own limit would end a whole piece


class Row(NamedTuple):
    """`number` as a spreadsheet shows it: the header is row 1. `reason` says why a row is refused; its cells are then what was readable."""

    number: int
    cells: list[str]
    reason: str = ""


class RowReader:
    """Feed it the text's bytes in order; take the rows that are complete. `offset`: where the first row not yet given out begins."""

    def __init__(self, delimiter: str, *, offset: int = 0, next_number: int = 1) -> None:
        self.offset = offset
        self.next_number = next_number
        self._delimiter = delimiter
        self._held = b""
        self._skipping = False  # inside a line that was refused for its length

    def feed(self, data: bytes, *, last: bool = False) -> list[Row]:
        """The rows that end within what was fed so far; with `last`, the rest as well."""
        rows: list[Row] = []
        buffer = self._held + data
        if self._skipping:
            end = buffer.find(b"\n") + 1
            if not end:
                self.offset += len(buffer)
                self._held = b""
                return rows
            self.offset += end
            buffer = buffer[end:]
            self._skipping = False
        if last and buffer and not buffer.endswith(b"\n"):
            buffer += b"\n"
        whole = buffer.rfind(b"\n") + 1
        lines = io.StringIO(buffer[:whole].decode(), newline="\n").readlines()
        left = whole
        done = self._complete(lines, rows, last)
        if done < len(lines):
            left = whole - sum(len(line.encode()) for line in lines[done:])
        self.offset += left
        self._held = buffer[left:]
        if done == len(lines) and len(self._held) > ROW_LIMIT:
            rows.append(self._row([], ROW_TOO_LONG))
            self.offset += len(self._held)
            self._held = b""
            self._skipping = True
        return rows

    def _complete(self, lines: list[str], rows: list[Row], last: bool) -> int:
        """Appends the rows of these lines; returns how many lines they took."""
        start = 0
        while start < len(lines):
            taken, reason, seen = self._read(lines[start:] if start else lines, rows)
            start += taken
            if not reason:
                return start
            if reason == UNCLOSED_QUOTE and not last and sum(map(len, lines[start:])) <= ROW_LIMIT:
                return start  # the quote may close in what is still to come
            if reason == ROW_TOO_LONG and seen > taken + 1:
                reason = UNCLOSED_QUOTE  # no row of many lines is that long: a quote was left open, and closed by another row's
            first = lines[start].rstrip("\n")
            rows.append(self._row([first] if len(first) <= ROW_LIMIT else [], reason))
            start += 1
        return start

    def _read(self, lines: list[str], rows: list[Row]) -> tuple[int, str, int]:
        """Rows up to the first that is wrong: (lines of whole rows, "" or what is wrong with the next, lines seen)."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        taken = 0
        try:
            for cells in reader:
                if sum(map(len, cells)) > ROW_LIMIT:
                    return taken, ROW_TOO_LONG, reader.line_num
                taken = reader.line_num
                rows.append(self._row(cells))
        except csv.Error as error:
            return taken, UNCLOSED_QUOTE if "unexpected end" in str(error) else BAD_QUOTES, reader.line_num
        return taken, "", taken

    def _row(self, cells: list[str], reason: str = "") -> Row:
        number = self.next_number
        self.next_number += 1
        return Row(number, cells, reason)


def rows_of(text: str, delimiter: str = ",") -> Iterator[Row]:
    """All rows of a short text; for headers and tests."""
    yield from RowReader(delimiter).feed(text.encode(), last=True)
