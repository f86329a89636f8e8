"""Records of consent: each act, when, by which way, on which wording. People stand there by keyed hash."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_audit.reports.kinds.kind import ReportKind, Row, actor_of, at
from postlaw_audit.reports.kinds.scopes import scope_text
from postlaw_audit.search.events import Event


def _row(event: Event) -> Row:
    told = consent.ConsentEvent.FromString(event.data)
    return (
        at(told.recorded_at.ToMicroseconds()), at(told.at.ToMicroseconds()),
        consent.ConsentEvent.Kind.Name(told.kind).removeprefix("KIND_").lower(), told.address_key.hex(), told.version,
        scope_text(told.scope), consent.Route.Name(told.route).removeprefix("ROUTE_").lower(), told.notice_hash.hex(), told.campaign_id,
        actor_of(event), told.event_id, event.index,
    )  # fmt: skip


CONSENTS = ReportKind(
    name="consents",
    title="Records of consent",
    types=("postlaw.consent.ConsentEvent",),
    columns=(
        "recorded_at", "acted_at", "act", "person", "version", "scope", "route", "notice_hash", "campaign_id", "actor", "event_id", "entry",
    ),
    row=_row,
    cell=lambda row: (str(row[0])[:10], str(row[2])),
    counted=("act", "route"),
)  # fmt: skip
