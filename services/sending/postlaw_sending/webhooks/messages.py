"""What a customer is told: an event's type, its time, and ids. No address, no name: whoever needs them reads them by API.

Of a report that was made they are also given what is signed: the log's checkpoint, and the note with the SHA-256 of each file. Whoever
keeps these messages holds a piece of the log from outside, by which it shows later whether it was made anew (ADR 47)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received
from postlaw_common.events import Event, from_record
from postlaw_sending.campaigns.wire import CAMPAIGNS
from postlaw_sending.returns.wire import RETURNS
from postlaw_sending.stop.wire import CONSENT_EVENTS

REPORTS: Final = "postlaw.audit.reports.v1"
TOPICS: Final = (CONSENT_EVENTS, RETURNS, CAMPAIGNS, REPORTS)
C = consent.ConsentEvent
_SAYS_NO: Final = frozenset(
    {C.KIND_WITHDRAWN, C.KIND_REFUSED, C.KIND_OBJECTED, C.KIND_RESTRICTED, C.KIND_PAUSED, C.KIND_INVALIDATED, C.KIND_ERASED,
     C.KIND_TRACKING_WITHDRAWN}
)  # fmt: skip


OPTED_OUT, BOUNCED, COMPLAINED, CAMPAIGN_CHANGED = "person.opted_out", "message.bounced", "message.complained", "campaign.changed"
REPORT_READY = "report.ready"
TYPES: Final = (OPTED_OUT, BOUNCED, COMPLAINED, CAMPAIGN_CHANGED, REPORT_READY)


@dataclass(frozen=True, slots=True)
class Message:
    """`type`: one of TYPES. `about`: whom or what it is about; messages about the same come in order."""

    event_id: str
    type: str
    at_us: int
    about: str
    body: bytes


def message_of(record: Received) -> Message | None:
    """None for what nobody is told of. ValueError for what cannot be read."""
    event = from_record(record)
    if record.topic == CONSENT_EVENTS:
        return _opt_out(event)
    if record.topic == REPORTS:
        return _report(event)
    return _returned(event) if record.topic == RETURNS else _campaign(event)


def _opt_out(event: Event) -> Message | None:
    said = C.FromString(event.data)
    if said.kind not in _SAYS_NO:
        return None
    scope = said.scope.WhichOneof("of") or "everything"
    data = {
        "kind": C.Kind.Name(said.kind).removeprefix("KIND_").lower(),
        "address_key": said.address_key.hex(),
        "scope": {scope: getattr(said.scope, scope)},
        "campaign_id": said.campaign_id,
        "consent_event_id": said.event_id,
    }
    return _message(event, OPTED_OUT, said.address_key.hex(), data)


def _returned(event: Event) -> Message | None:
    said = sending.MessageReturned.FromString(event.data)
    types = {said.KIND_BOUNCE: BOUNCED, said.KIND_COMPLAINT: COMPLAINED}
    if said.kind not in types:
        return None
    outcome = sending.MessageReturned.Class.Name(said.outcome).removeprefix("CLASS_").lower() if said.outcome else ""
    data = {
        "address_key": said.address_key.hex(),
        "subscriber_id": said.subscriber_id,
        "campaign_id": said.campaign_id,
        "class": outcome,
        "status": said.status,
    }
    return _message(event, types[said.kind], said.address_key.hex() or said.campaign_id, data)


def _campaign(event: Event) -> Message | None:
    if event.type != "postlaw.sending.CampaignChanged":
        return None
    said = sending.CampaignChanged.FromString(event.data)
    status = sending.Campaign.Status.Name(said.status).removeprefix("STATUS_").lower()
    data = {"campaign_id": said.campaign_id, "status": status, "version": said.version}
    return _message(event, CAMPAIGN_CHANGED, said.campaign_id, data)


def _report(event: Event) -> Message | None:
    """Those of a kind come in order, so that a day's checkpoint never comes before that of the day before."""
    report = audit.ReportChanged.FromString(event.data).report
    if report.state != report.STATE_DONE:
        return None
    kind = audit.Report.Kind.Name(report.kind).removeprefix("KIND_").lower()
    data = {
        "report_id": report.report_id,
        "kind": kind,
        "since": report.since.ToJsonString(),
        "until": report.until.ToJsonString(),
        "checkpoint": report.checkpoint.note,
        "witnesses": list(report.checkpoint.witnesses),
        "note": report.note,
        "links": list(report.links),
    }
    return _message(event, REPORT_READY, f"reports/{kind}", data)


def _message(event: Event, type: str, about: str, data: Mapping[str, Any]) -> Message:
    at = datetime.fromtimestamp(event.time_us / 1e6, UTC).isoformat()
    body = json.dumps({"type": type, "timestamp": at, "data": data}, separators=(",", ":"), ensure_ascii=True)
    return Message(event.id, type, event.time_us, about, body.encode())
