"""An event of the log as one of OCSF's (https://schema.ocsf.io/1.3.0): by its type alone, so a new event is mapped without a line here."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from postlaw_audit.evidence.schema import whole_schema
from postlaw_audit.evidence.verify import read
from postlaw_audit.search.events import Event

VERSION: Final = "1.3.0"
LONGEST: Final = 20  # items of a list that is shown: a batch's people are not


class Class(NamedTuple):
    """`uid`'s thousands are the category's. `profiles`: which give it what it has not by itself."""

    uid: int
    name: str
    category: str
    profiles: tuple[str, ...] = ()


class Mapped(NamedTuple):
    of: Class
    activity_id: int
    activity: str


ACCOUNT_CHANGE: Final = Class(3001, "Account Change", "Identity & Access Management")
ENTITY_MANAGEMENT: Final = Class(3004, "Entity Management", "Identity & Access Management", ("host",))
API_ACTIVITY: Final = Class(6003, "API Activity", "Application Activity")
_OF_ITS_OWN: Final = {
    "postlaw.identity.ApiKeyCreated": Mapped(ACCOUNT_CHANGE, 1, "Create"),
    "postlaw.identity.ApiKeyRevoked": Mapped(ACCOUNT_CHANGE, 5, "Disable"),
    "postlaw.gateway.PersonalDataRead": Mapped(API_ACTIVITY, 2, "Read"),
    "postlaw.consent.ConsentEvent": Mapped(API_ACTIVITY, 1, "Create"),
}
_BY_END: Final = {
    "Created": Mapped(ENTITY_MANAGEMENT, 1, "Create"),
    "Changed": Mapped(ENTITY_MANAGEMENT, 3, "Update"),
    "Rotated": Mapped(ENTITY_MANAGEMENT, 3, "Update"),
    "Deleted": Mapped(ENTITY_MANAGEMENT, 4, "Delete"),
}
_REFUSED: Final = "postlaw.gateway.AccessRefused"
_SEVERITIES: Final = {_REFUSED: 3, "postlaw.reconciliation.ReconciliationDiffered": 3, "postlaw.security.IntrusionSignalled": 4}
_ACCESS: Final = (_REFUSED, "postlaw.gateway.PersonalDataRead")
_OPERATIONS: Final = ("operation", "method")  # fields that name what was called


def mapped(type: str) -> Mapped:
    """What stands for events of this type: the words at their ends say what was done; all else was done, and has no number there."""
    known = _OF_ITS_OWN.get(type)
    by_end = next((found for end, found in _BY_END.items() if type.endswith(end)), None)
    return known or by_end or Mapped(API_ACTIVITY, 99, _kind(type) or "Unknown")


def ocsf_of(event: Event) -> dict[str, Any]:
    """The event as OCSF has it. What that has no place for stands below `unmapped`, with the entry that it was read from."""
    entry, context = event.entry, event.entry.context
    (uid, name, category, profiles), activity_id, activity = mapped(entry.type)
    said = _said(event)
    service = _service(entry.type)
    refused = entry.type == _REFUSED
    made: dict[str, Any] = {
        "metadata": {
            "version": VERSION,
            "product": {"name": "Postlaw", "vendor_name": "Postlaw"},
            "uid": entry.event_id or f"{entry.topic}/{entry.partition}/{entry.offset}",
            "event_code": entry.type,
            "log_name": entry.topic,
            "logged_time": entry.time_us // 1000,
            **({"tenant_uid": entry.tenant_id} if entry.tenant_id else {}),
            **({"correlation_uid": context["request"]} if "request" in context else {}),
            **({"profiles": list(profiles)} if profiles else {}),
        },
        "time": (entry.event_time_us or entry.time_us) // 1000,
        "category_uid": uid // 1000,
        "category_name": category,
        "class_uid": uid,
        "class_name": name,
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": uid * 100 + activity_id,
        "severity_id": _SEVERITIES.get(entry.type, 1),
        "status_id": 2 if refused else 1,
        "message": f"{entry.type} of {entry.subject}" if entry.subject else entry.type or "a record that is none of our events",
        "actor": _actor(context.get("actor", ""), service),
        "src_endpoint": {"name": context["network"]} if "network" in context else {"svc_name": service},
        "unmapped": {
            "index": event.index,
            "partition": entry.partition,
            "offset": entry.offset,
            "sequence": entry.sequence,
            "on_behalf_of": context.get("on_behalf_of", ""),
            "traceparent": context.get("traceparent", ""),
            "said": said,
        },
    }
    if uid == ACCOUNT_CHANGE.uid:
        made["user"] = {"uid": entry.subject}
    elif uid == ENTITY_MANAGEMENT.uid:
        made["entity"] = {"uid": entry.subject, "type": _kind(entry.type)}
    else:
        operation = next((said[name] for name in _OPERATIONS if entry.type in _ACCESS and said.get(name)), _kind(entry.type) or "unknown")
        made["api"] = {"operation": operation, "service": {"name": service}}
        made["resources"] = [{"uid": entry.subject}] if entry.subject else []
    return made


def _said(event: Event) -> dict[str, Any]:
    """The event's own fields, without long lists: those of many people are keyed hashes, and stand in the entry."""
    schema = whole_schema()
    try:
        fields = read(event.data, schema["events"].get(event.entry.type, "Other"), schema)
    except (LookupError, ValueError):  # a record of another version, or damaged before it came to the log
        return {}
    return {name: value for name, value in fields.items() if not isinstance(value, list) or len(value) <= LONGEST}


def _actor(actor: str, service: str) -> dict[str, Any]:
    kind, _, name = actor.partition(":")
    return {"app_name": name or service} if kind in ("", "service") else {"user": {"uid": actor}}


def _service(type: str) -> str:
    parts = type.split(".")
    return parts[1] if len(parts) > 2 else "unknown"


def _kind(type: str) -> str:
    return type.rpartition(".")[2]
