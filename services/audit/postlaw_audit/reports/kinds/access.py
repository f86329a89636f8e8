"""Who had to do with people's data and with credentials: who was shown what, who was refused, who made and revoked keys."""

from __future__ import annotations

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.reports.kinds.kind import Grouped, Line, ReportKind, Row, actor_of, at, day
from postlaw_audit.search.events import Event

_READ, _REFUSED = "postlaw.gateway.PersonalDataRead", "postlaw.gateway.AccessRefused"
_KEYS = ("postlaw.identity.ApiKeyCreated", "postlaw.identity.ApiKeyRevoked")
_EXPORT = "postlaw.consent.SuppressionExportChanged"
_CELLS = {_READ: "was shown data", _REFUSED: "refused", _EXPORT: "suppression export"}
_MOST_NAMED = 20  # operations and networks that a line names


def _row(event: Event) -> Row:
    what, people = event.entry.type.rpartition(".")[2], 0
    if event.entry.type == _READ:
        read = audit.PersonalDataRead.FromString(event.data)
        what, people = read.operation, max(len(read.address_keys), len(read.subscriber_ids))
    elif event.entry.type == _REFUSED:
        what = f"refused: {audit.AccessRefused.FromString(event.data).kind}"
    return (
        event.index, event.entry.time_us, event.entry.type, actor_of(event), what, people, event.entry.context.get("network", ""),
    )  # fmt: skip


class _Actor:
    def __init__(self) -> None:
        self._counts = {_READ: 0, _REFUSED: 0}
        self._events = self._people = 0
        self._operations: dict[str, None] = {}
        self._networks: dict[str, None] = {}
        self._first: Row = ()
        self._last: Row = ()

    def add(self, row: Row) -> None:
        _, _, type, _, what, people, network = row
        self._events += 1
        self._people += int(people)
        if type in self._counts:
            self._counts[str(type)] += 1
        self._operations[str(what)] = None
        if network:
            self._networks[str(network)] = None
        self._first = self._first or row
        self._last = row

    def line(self) -> Line:
        rest = self._events - sum(self._counts.values())
        return (
            self._first[3], self._counts[_READ], self._people, self._counts[_REFUSED], rest, _named(self._operations),
            _named(self._networks), at(int(self._first[1])), at(int(self._last[1])), self._events, self._last[0],
        )  # fmt: skip


def _named(names: dict[str, None]) -> str:
    shown = sorted(names)[:_MOST_NAMED]
    return " ".join([*shown, f"and {len(names) - len(shown)} more"] if len(names) > len(shown) else shown)


ACCESS = ReportKind(
    name="access",
    title="User access",
    types=(_READ, _REFUSED, *_KEYS, _EXPORT),
    columns=(
        "actor", "shown", "people_shown", "refused", "credentials_and_exports", "operations", "networks", "first_at", "last_at", "events",
        "entry",
    ),
    row=_row,
    together=lambda until_us: Grouped(lambda row: row[3], _Actor),
    cell=lambda row: (day(int(row[1])), _CELLS.get(str(row[2]), "credentials")),
)  # fmt: skip
