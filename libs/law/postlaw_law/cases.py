"""A case as JSON, in the format of the decision vectors: read into facts, and written from them, so that a decision can be replayed.

Beyond the vectors' fields: events `restricted`, `paused` (until `ended_at`), `bounced`, `platform` and `erasure`, an event's `id` and
`lifts`, a message's `brand`, `recipient_tz`, and more to expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from postlaw_law.case_fields import Fields
from postlaw_law.clocks import instant, microseconds
from postlaw_law.decision import Decision
from postlaw_law.facts import Facts, Grant, Hold, Message, OptOut, Person, Tracking, TrackingSignal
from postlaw_law.words import (
    EVERYTHING,
    EVIDENCE,
    MESSAGE_FACTS,
    ROUTE_EVENTS,
    AddressKind,
    Defect,
    EventType,
    Evidence,
    MessageClass,
    MessageFact,
    RecipientKind,
    RouteEvent,
    SenderKind,
)

_OF_TOPICS = frozenset({"unsubscribe", "withdraw_consent"})
_OF_EVERYTHING = frozenset({"objection", "complaint", "erasure"})
_TRACKING = frozenset({"tracking_consent", "tracking_withdrawal"})
_ENDING = frozenset({"contract", "subscription", "account", "membership"})

CASE_FIELDS = frozenset({
    "id", "note", "source", "strict_default", "recipient_territories", "sender_territory", "sender_kind", "message_class", "recipient_kind",
    "address_kind", "message", "consent_events", "now", "tz", "recipient_tz", "expect",
})  # fmt: skip
_MESSAGE_FIELDS = MESSAGE_FACTS | {"topic", "brand", "defects", "tracking"}
_EVENT_FIELDS = frozenset({"id", "type", "at", "route", "topics", "ended_at", "evidence", "lifts"})


def read_case(case: Fields) -> tuple[Facts, datetime, Tracking | None]:
    """Facts, the instant, and the tracking that is asked about. Raises CaseInvalid."""
    fields = case.child("message", _MESSAGE_FIELDS)
    message = Message(
        sender=case.territory("sender_territory"),
        message_class=case.one_of("message_class", MessageClass),
        sender_kind=case.one_of("sender_kind", SenderKind, "business"),
        topic=fields.text("topic", "general"),
        states=cast("frozenset[MessageFact]", frozenset(name for name in MESSAGE_FACTS if fields.flag(name))),
        defects=cast("frozenset[Defect]", frozenset(fields.all_of("defects", Defect))),
        zone=case.zone("tz", "UTC"),
        brand=fields.text("brand", ""),
    )
    asked = fields.one_of("tracking", Tracking) if fields.has("tracking") else None
    return Facts(message, _person(case)), case.instant("now"), asked


def _person(case: Fields) -> Person:
    grants: list[Grant] = []
    opt_outs: list[OptOut] = []
    holds: list[Hold] = []
    signals: list[TrackingSignal] = []
    messages: list[int] = []
    for event in case.children("consent_events", _EVENT_FIELDS):
        type: EventType = event.one_of("type", EventType)
        at, id = microseconds(event.instant("at")), event.text("id", "")
        topics = frozenset(event.texts("topics", [EVERYTHING]))
        held, denied = _evidence(event)
        event.text("route", "")  # audit only, but a text
        ended = microseconds(event.instant("ended_at")) if event.has("ended_at") else None
        if type in ROUTE_EVENTS:
            lifts = event.flag("lifts", True)
            grants.append(Grant(cast("RouteEvent", type), at, held, denied, topics, ended if type in _ENDING else None, id, lifts))
        elif type in _OF_TOPICS:
            opt_outs.append(OptOut(at, topics, id))
        elif type in _OF_EVERYTHING:
            opt_outs.append(OptOut(at, id=id, erased=type == "erasure"))
        elif type == "restricted" or type == "paused" or type == "bounced" or type == "platform":
            holds.append(Hold(type, at, ended, id))
        elif type in _TRACKING:
            signals.append(TrackingSignal(type == "tracking_consent", at, held, id))
        else:
            messages.append(at)
    return Person(
        territories=case.territories("recipient_territories"),
        recipient_kind=case.one_of("recipient_kind", RecipientKind),
        address_kind=case.one_of("address_kind", AddressKind, "personal"),
        grants=tuple(grants),
        opt_outs=tuple(opt_outs),
        holds=tuple(holds),
        tracking=tuple(signals),
        messages_us=tuple(messages),
        zone=case.zone("recipient_tz") if case.has("recipient_tz") else None,
    )


def _evidence(event: Fields) -> tuple[frozenset[Evidence], frozenset[Evidence]]:
    """What is held, and what is denied. What else was recorded beside it decides nothing."""
    stated = {name: value for name, value in event.child("evidence", None).statements() if name in EVIDENCE}
    held = cast("frozenset[Evidence]", frozenset(name for name, value in stated.items() if value))
    return held, cast("frozenset[Evidence]", frozenset(stated)) - held


def write_case(facts: Facts, now: datetime) -> dict[str, Any]:
    """The same facts as JSON: `read_case` of it gives them back."""
    message, person = facts.message, facts.person
    case: dict[str, Any] = {
        "recipient_territories": list(person.territories),
        "sender_territory": message.sender,
        "sender_kind": message.sender_kind,
        "message_class": message.message_class,
        "recipient_kind": person.recipient_kind,
        "address_kind": person.address_kind,
        "message": {
            "topic": message.topic,
            "brand": message.brand,
            "defects": sorted(message.defects),
            **dict.fromkeys(sorted(message.states), True),
        },
        "consent_events": list(_events(person)),
        "now": now.isoformat(),
        "tz": message.zone.key,
    }
    return case if person.zone is None else {**case, "recipient_tz": person.zone.key}


def _events(person: Person) -> Iterator[dict[str, Any]]:
    for grant in person.grants:
        yield _event(grant.type, grant.at_us, grant.id, grant.ended_us) | {
            "topics": sorted(grant.topics),
            "evidence": {**dict.fromkeys(sorted(grant.held), True), **dict.fromkeys(sorted(grant.denied), False)},
            "lifts": grant.lifts,
        }
    for opt_out in person.opt_outs:
        yield _event("erasure" if opt_out.erased else "unsubscribe", opt_out.at_us, opt_out.id) | {"topics": sorted(opt_out.topics)}
    for hold in person.holds:
        yield _event(hold.kind, hold.at_us, hold.id, hold.until_us)
    for signal in person.tracking:
        type = "tracking_consent" if signal.given else "tracking_withdrawal"
        yield _event(type, signal.at_us, signal.id) | {"evidence": dict.fromkeys(sorted(signal.held), True)}
    for at_us in person.messages_us:
        yield _event("message_sent", at_us)


def _event(type: str, at_us: int, id: str = "", ended_us: int | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"type": type, "at": instant(at_us).isoformat(), "id": id}
    return event if ended_us is None else {**event, "ended_at": instant(ended_us).isoformat()}


def answer_of(decision: Decision, asked: Tracking | None) -> dict[str, Any]:
    """A decision in the words of a vector's `expect`, and what our own cases expect besides."""
    answer: dict[str, Any] = {
        "allow": decision.allow,
        "reasons": sorted({reason.code for reason in decision.reasons}),
        "basis": dict(decision.basis) if decision.basis is not None else None,
        "duties": sorted(decision.obligations.duties),
        "mechanism_days": decision.obligations.mechanism_days,
        "opt_out_business_days": decision.obligations.opt_out_business_days,
        "evidence": list(decision.evidence),
        "sections": {reason.code: reason.section for reason in decision.reasons},
    }
    if decision.expires_at is not None:
        answer["expires_at"] = decision.expires_at.isoformat()
    if asked is not None:
        allowed = {"none": True, "open_individual": decision.tracking.open, "open_hygiene": decision.tracking.open_hygiene}
        answer["tracking_allowed"] = allowed[asked]
    return answer
