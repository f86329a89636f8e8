"""Control totals: what of a report's lines adds up, and the sample that anybody can draw again."""

from __future__ import annotations

import hashlib
import heapq
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from postlaw_audit.reports.kinds.kind import Line, ReportKind

RECOUNTED = "events counted again in the log"
UNDECODABLE = "entries that could not be decoded"


class TotalsDiffer(Exception):
    """What the query found, what the lines say and what the log holds are not the same number of events."""


@dataclass(slots=True)
class Totals:
    """Takes every line in the report's order, and the indexes of entries that stand in none. `worst`: the line with the highest measure."""

    kind: ReportKind
    rows: int = 0
    events: int = 0
    worst: Line | None = None
    undecodable: array[int] = field(default_factory=lambda: array("q"))
    _counts: dict[str, int] = field(default_factory=dict[str, int])
    _measures: array[int] = field(default_factory=lambda: array("q"))

    def add(self, line: Line) -> None:
        kind = self.kind
        self.rows += 1
        self.events += kind.events_of(line)
        for column in kind.counted:
            name = f"{column} {line[kind.columns.index(column)]}"
            self._counts[name] = self._counts.get(name, 0) + 1
        if kind.measured and (measure := int(line[kind.columns.index(kind.measured)])) >= 0:
            if not self._measures or measure > max(self.worst_measure, -1):
                self.worst = line
            self._measures.append(measure)

    def leave_out(self, index: int) -> None:
        """An event that cannot be decoded."""
        self.events += 1
        self.undecodable.append(index)

    @property
    def worst_measure(self) -> int:
        return int(self.worst[self.kind.columns.index(self.kind.measured)]) if self.worst is not None else -1

    def told(self) -> dict[str, int]:
        """By name; percentiles are the nearest rank, in milliseconds."""
        told = {"rows": self.rows, "events": self.events, UNDECODABLE: len(self.undecodable)} | dict(sorted(self._counts.items()))
        if self._measures:
            ordered = sorted(self._measures)
            ranks = {f"{self.kind.measured} p{p}": ordered[-(-len(ordered) * p // 100) - 1] for p in (50, 99)}
            told |= {f"{self.kind.measured} measured": len(ordered), **ranks, f"{self.kind.measured} worst": ordered[-1]}
        return told


def totals_of(kind: ReportKind, lines: Iterable[Line], undecodable: Iterable[int]) -> Totals:
    totals = Totals(kind)
    for line in lines:
        totals.add(line)
    for index in undecodable:
        totals.leave_out(index)
    return totals


def drawn(seed: str, rows: int, size: int) -> Sequence[int]:
    """Which rows, counted from 1, a seed draws of all of them: those whose SHA-256 of `seed`, a newline and their number is smallest."""
    return sorted(heapq.nsmallest(size, range(1, rows + 1), key=lambda n: hashlib.sha256(f"{seed}\n{n}".encode()).digest()))
