"""Every API key that there was: what it may do, who made it, and whether it still opens anything."""

from __future__ import annotations

from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_audit.reports.kinds.kind import Grouped, Line, ReportKind, Row, actor_of, at, day
from postlaw_audit.search.events import Event

_MADE, _REVOKED = "postlaw.identity.ApiKeyCreated", "postlaw.identity.ApiKeyRevoked"


def _row(event: Event) -> Row:
    told = identity.ApiKeyRevoked if event.entry.type == _REVOKED else identity.ApiKeyCreated
    key = told.FromString(event.data).api_key
    return (
        event.index, event.entry.type, key.api_key_id, key.name, key.prefix, " ".join(sorted(key.scopes)), event.entry.time_us,
        key.expires_at.ToMicroseconds(), actor_of(event),
    )  # fmt: skip


class _Key:
    def __init__(self, until_us: int) -> None:
        self._until_us = until_us
        self._told: list[Row] = []

    def add(self, row: Row) -> None:
        self._told.append(row)

    def line(self) -> Line:
        made = next((row for row in self._told if row[1] == _MADE), None)
        revoked = next((row for row in self._told if row[1] == _REVOKED), None)
        entry, _, id, name, prefix, scopes, _, expires_us, _ = self._told[-1]
        state = "revoked" if revoked else "expired" if 0 < int(expires_us) <= self._until_us else "active"
        return (
            id, name, prefix, scopes, state, at(int(made[6])) if made else "", made[8] if made else "", at(int(expires_us)),
            at(int(revoked[6])) if revoked else "", revoked[8] if revoked else "", len(self._told), entry,
        )  # fmt: skip


API_KEYS = ReportKind(
    name="api_keys",
    title="API keys",
    types=(_MADE, _REVOKED),
    columns=(
        "api_key_id", "name", "prefix", "scopes", "state", "made_at", "made_by", "expires_at", "revoked_at", "revoked_by", "events",
        "entry",
    ),
    row=_row,
    together=lambda until_us: Grouped(lambda row: row[2], lambda: _Key(until_us)),
    cell=lambda row: (day(int(row[6])), "revoked" if row[1] == _REVOKED else "made"),
    from_beginning=True,
    counted=("state",),
)  # fmt: skip
