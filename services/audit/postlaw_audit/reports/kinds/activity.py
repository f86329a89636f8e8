"""What happened: how often each type of event, on which days, by how many; and the same of one day, as each customer gets it daily."""

from __future__ import annotations

from postlaw_audit.reports.kinds.kind import Grouped, Line, ReportKind, Row, actor_of, at, day
from postlaw_audit.search.events import Event


def _row(event: Event) -> Row:
    return event.index, event.entry.time_us, event.entry.type, actor_of(event)


class _Type:
    """Of a day, or of the whole range."""

    def __init__(self, *, daily: bool) -> None:
        self._daily = daily
        self._rows = 0
        self._actors: set[str] = set()
        self._first: Row = ()
        self._last: Row = ()

    def add(self, row: Row) -> None:
        self._rows += 1
        self._actors.add(str(row[3]))
        self._first = self._first or row
        self._last = row

    def line(self) -> Line:
        first_us, last_us = int(self._first[1]), int(self._last[1])
        rest = (self._first[2], self._rows, len(self._actors), at(first_us), at(last_us), self._first[0], self._last[0])
        return (day(first_us), *rest) if self._daily else rest


_COLUMNS = ("type", "events", "actors", "first_at", "last_at", "first_entry", "last_entry")

ACTIVITY = ReportKind(
    name="activity",
    title="Activity summary",
    types=(),
    columns=("day", *_COLUMNS),
    row=_row,
    together=lambda until_us: Grouped(lambda row: (day(int(row[1])), row[2]), lambda: _Type(daily=True)),
    cell=lambda row: (day(int(row[1])), str(row[2]).removeprefix("postlaw.")),
)

DAILY = ReportKind(
    name="daily",
    title="Daily report",
    types=(),
    columns=_COLUMNS,
    row=_row,
    together=lambda until_us: Grouped(lambda row: row[2], lambda: _Type(daily=False)),
    cell=lambda row: (at(int(row[1]))[11:13], str(row[2]).removeprefix("postlaw.")),
    most_recounted=20_000,  # one for each customer, each day
    printed=False,
)
