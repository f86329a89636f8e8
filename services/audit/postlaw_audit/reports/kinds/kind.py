"""What makes a report: which events it asks for, a row for each, and how rows come together to lines.

Every event of the query is a row, and stands in exactly one line, which says of how many: so that the lines' sum can be compared with
what the log holds, and an event that was dropped anywhere between is noticed. One whose bytes cannot be read is named by its entry instead.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.message import DecodeError

from postlaw_audit.search.events import Event

Cell = str | int
Row = Sequence[Cell]  # of an event
Line = Sequence[Cell]  # of the report's table

EVENTS = "events"  # the column that says of how many events a line is; without one, each is of one


class Together(Protocol):
    """How rows, the oldest first, come together to lines."""

    def take(self, row: Row) -> Iterable[Line]: ...

    def end(self) -> Iterable[Line]: ...


class LineEach:
    """Where an event is a line."""

    def take(self, row: Row) -> Iterable[Line]:
        return (row,)

    def end(self) -> Iterable[Line]:
        return ()


class Group(Protocol):
    def add(self, row: Row) -> None: ...

    def line(self) -> Line: ...


class Grouped:
    """Where what has a key in common is a line. `begin` makes the group of a key."""

    def __init__(self, key: Callable[[Row], Hashable], begin: Callable[[], Group]) -> None:
        self._key = key
        self._begin = begin
        self._groups: dict[Hashable, Group] = {}

    def take(self, row: Row) -> Iterable[Line]:
        key = self._key(row)
        if key not in self._groups:
            self._groups[key] = self._begin()
        self._groups[key].add(row)
        return ()

    def end(self) -> Iterable[Line]:
        return (group.line() for group in self._groups.values())


@dataclass(frozen=True, slots=True)
class ReportKind:
    """`types` none: of every type. `from_beginning`: what stands at the range's end, so that all before it counts. `of_platform`: it reads
    what the installation's operator did, which belongs to no customer. `together`: of the range's end, in microseconds. `cell`: a row's
    place in the picture (what stands below, which series). `counted`: columns of which the control totals say how often each value is
    there. `measured`: a column of milliseconds, of which they say the percentiles and whose worst line is proved; -1 is none.
    `most_recounted`: of the log's entries, which takes half a minute for the usual; of more, the index alone says how many there are."""

    name: str
    title: str
    types: tuple[str, ...]
    columns: tuple[str, ...]
    row: Callable[[Event], Row]
    cell: Callable[[Row], tuple[str, str]]
    together: Callable[[int], Together] = lambda until_us: LineEach()
    from_beginning: bool = False
    of_platform: bool = False
    counted: tuple[str, ...] = ()
    measured: str = ""
    most_recounted: int = 1_000_000
    printed: bool = True

    def read(self, event: Event) -> Row | None:
        """None where its bytes are not what its type says: no row then, but a report says how many such there are, and where."""
        try:
            return self.row(event)
        except (DecodeError, ValueError, OverflowError):
            return None

    def events_of(self, line: Line) -> int:
        return int(line[self.columns.index(EVENTS)]) if EVENTS in self.columns else 1

    def query(self, tenant_id: str, from_us: int, until_us: int, size: int) -> str:
        """What is asked of the log, in words: whoever has the log can ask it again."""
        what = f"type in ({', '.join(self.types)})" if self.types else "any type"
        whose = "nobody's (the installation's own)" if self.of_platform else tenant_id
        since = "the beginning" if self.from_beginning else at(from_us)
        return f"entries below {size}, tenant_id {whose}, {what}, time_us from {since} until before {at(until_us)}"


def at(us: int) -> str:
    """RFC 3339, in UTC; empty for 0, which is no time."""
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if us else ""


def day(us: int) -> str:
    return at(us)[:10]


def actor_of(event: Event) -> str:
    """Who did it; with whom it was done for, where that was another."""
    context = event.entry.context
    for_whom = context.get("on_behalf_of", "")
    return f"{context.get('actor', '')} for {for_whom}" if for_whom else context.get("actor", "")
