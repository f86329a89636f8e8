"""The register of sub-processors, with when each came in and went out."""

from __future__ import annotations

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.reports.kinds.kind import Grouped, Line, ReportKind, Row, at, day
from postlaw_audit.search.events import Event


def _row(event: Event) -> Row:
    told = audit.SubProcessorChanged.FromString(event.data)
    there = told.HasField("after")
    one = told.after if there else told.before
    return event.index, event.entry.time_us, int(there), one.name, one.purpose, one.location, one.data


class _Processor:
    def __init__(self) -> None:
        self._told: list[Row] = []

    def add(self, row: Row) -> None:
        self._told.append(row)

    def line(self) -> Line:
        entry, last_us, there, name, purpose, location, data = self._told[-1]
        since = at(int(self._told[0][1]))
        return name, purpose, location, data, "in use" if there else "removed", since, at(int(last_us)), len(self._told), entry


SUB_PROCESSORS = ReportKind(
    name="sub_processors",
    title="Sub-processors",
    types=("postlaw.audit.SubProcessorChanged",),
    columns=("name", "purpose", "location", "data", "state", "since", "changed_at", "events", "entry"),
    row=_row,
    together=lambda until_us: Grouped(lambda row: row[3], _Processor),
    cell=lambda row: (day(int(row[1])), "put" if row[2] else "removed"),
    from_beginning=True,
    of_platform=True,
    counted=("state",),
)
