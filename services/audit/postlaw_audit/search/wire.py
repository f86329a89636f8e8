"""A search's protobuf, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.evidence.schema import whole_schema
from postlaw_audit.evidence.verify import fact_of, read
from postlaw_audit.search.events import Event
from postlaw_audit.search.searching import Found, Question
from postlaw_audit.search.terms import trace_of
from postlaw_common.errors import FieldError, Invalid

MOST, USUAL = 200, 50
_LONGEST = 20  # items of a list that is shown


def question_of(request: audit.ListEntriesRequest, tenant_id: str, people: Sequence[bytes], subscribers: Sequence[str]) -> Question:
    """Raises Invalid."""
    if request.page_token and not (request.page_token.isascii() and request.page_token.isdigit()):
        raise Invalid("page_token is none of ours.", fields=[FieldError("page_token", "give the next_page_token of the page before")])
    return Question(
        tenant_id=tenant_id,
        people=tuple(people),
        subscribers=tuple(subscribers),
        actor=request.actor,
        object=request.object,
        actions=(request.action,) if request.action else (),
        campaign_id=request.campaign_id,
        trace_id=request.trace_id,
        request_id=request.request_id,
        from_us=request.since.ToMicroseconds(),
        to_us=request.until.ToMicroseconds(),
        before=int(request.page_token or 0),
    )


def page_size(request: audit.ListEntriesRequest) -> int:
    return min(MOST, request.page_size) if request.page_size > 0 else USUAL


def page_to_wire(found: Found, question: Question) -> audit.ListEntriesResponse:
    who = [*(key.hex() for key in question.people), *question.subscribers]
    return audit.ListEntriesResponse(
        entries=[_entry_to_wire(event, who) for event, _ in found.events],
        next_page_token=str(found.events[-1][0].index) if found.more else "",
        searched_below=found.below,
        address_key=question.people[0] if question.people else b"",
    )


def _entry_to_wire(event: Event, who: list[str]) -> audit.FoundEntry:
    entry, context = event.entry, event.entry.context
    made = audit.FoundEntry(
        index=event.index,
        event_id=entry.event_id,
        type=entry.type,
        actor=context.get("actor", ""),
        on_behalf_of=context.get("on_behalf_of", ""),
        network=context.get("network", ""),
        request_id=context.get("request", ""),
        trace_id=trace_of(context.get("traceparent", "")),
        object=entry.subject,
        sequence=entry.sequence,
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        said=_said(event, who),
        proof=f"/v1/audit/events/{entry.event_id}/proof",
    )
    made.happened_at.FromMicroseconds(entry.event_time_us or entry.time_us)
    made.recorded_at.FromMicroseconds(entry.time_us)
    return made


def _said(event: Event, who: list[str]) -> Mapping[str, str]:
    schema = whole_schema()
    try:
        fact = fact_of(event.index, list(event.pieces), who, schema) if who else None
        fields = fact["said"] if fact else read(event.data, schema["events"].get(event.entry.type, "Other"), schema)
    except (ValueError, LookupError, TypeError):  # kept as it came; the proof has its bytes
        return {"undecodable": f"{len(event.data)} bytes that are no {event.entry.type}"}
    return {name: _text(value) for name, value in fields.items() if not isinstance(value, list) or len(value) <= _LONGEST}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
