"""Dataclasses to protobuf and back. An event is serialized here once: ledger, bus and audit hold these bytes.

Longer than most: both ways of each message stand side by side, as its round trip is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal, get_args

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.identity.v1 import context_pb2
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.domain.event import Actor, ConsentEvent, Kind, Route
from postlaw_consent.domain.particulars import NONE_STATED, Grade, Particulars
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Belongs, Scope, belonging
from postlaw_consent.use_cases.withdraw_consent import Outcome, Receipt
from postlaw_law.words import Evidence

_KINDS: dict[Kind, pb.ConsentEvent.Kind.ValueType] = {kind: pb.ConsentEvent.Kind.Value(f"KIND_{kind.upper()}") for kind in get_args(Kind)}
_GRADES: dict[Grade | Literal[""], pb.EvidenceGrade.ValueType] = {
    "": pb.EVIDENCE_GRADE_UNSPECIFIED,
    "none": pb.EVIDENCE_GRADE_NONE,
    "attested": pb.EVIDENCE_GRADE_ATTESTED,
    "captured": pb.EVIDENCE_GRADE_CAPTURED,
}
_ROUTES: dict[Route, pb.Route.ValueType] = {
    "api": pb.ROUTE_API,
    "import": pb.ROUTE_IMPORT,
    "one_click": pb.ROUTE_ONE_CLICK,
    "page": pb.ROUTE_PAGE,
    "mail": pb.ROUTE_MAIL,
}
_ACTORS: dict[str, context_pb2.Actor.Kind.ValueType] = {
    "api_key": context_pb2.Actor.KIND_API_KEY,
    "user": context_pb2.Actor.KIND_USER,
    "service": context_pb2.Actor.KIND_SERVICE,
    "person": context_pb2.Actor.KIND_PERSON,
    "operator": context_pb2.Actor.KIND_OPERATOR,
}
OUTCOMES: dict[Outcome | None, pb.Outcome.ValueType] = {
    None: pb.OUTCOME_UNSPECIFIED,
    "stopped": pb.OUTCOME_STOPPED,
    "recorded": pb.OUTCOME_RECORDED,
}
_EVIDENCE: dict[str, pb.Evidence.ValueType] = {name: pb.Evidence.Value(f"EVIDENCE_{name.upper()}") for name in get_args(Evidence)}
_EVIDENCE_BACK = {number: name for name, number in _EVIDENCE.items()}
_KINDS_BACK: dict[int, Kind] = {number: name for name, number in _KINDS.items()}
_ROUTES_BACK: dict[int, Route] = {number: name for name, number in _ROUTES.items()}
_GRADES_BACK: dict[int, Grade | Literal[""]] = {number: name for name, number in _GRADES.items()}
_ACTORS_BACK: dict[int, str] = {number: name for name, number in _ACTORS.items()}


_NOTHING = pb.Particulars()
_ALIKE = (
    "relationship", "recipient_kind", "address_kind", "time_zone", "language", "method", "controller", "lawful_basis", "refers_to",
    "refers_to_version", "objection",
)  # fmt: skip


def timestamp(us: int) -> Timestamp:
    seconds, rest = divmod(us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def _put_time(us: int, stamp: Timestamp) -> None:
    stamp.seconds, rest = divmod(us, 1_000_000)
    stamp.nanos = rest * 1000


def microseconds(stamp: Timestamp) -> int:
    return stamp.seconds * 1_000_000 + stamp.nanos // 1000


def scope_to_wire(scope: Scope) -> pb.Scope:
    message = pb.Scope()
    _put_scope(scope, message)
    return message


def _put_scope(scope: Scope, message: pb.Scope) -> None:
    if scope.kind == "list":
        message.list_id = scope.id
    elif scope.kind == "topic":
        message.topic = scope.id
    elif scope.kind == "brand":
        message.brand = scope.id
    elif scope.kind == "platform":
        message.platform = True
    else:
        message.everything = True


def scope_from_wire(message: pb.Scope) -> Scope:
    """Raises Invalid where the message names no scope, or an overlong one."""
    match message.WhichOneof("of"):
        case "list_id":
            scope = Scope("list", message.list_id)
        case "topic":
            scope = Scope("topic", message.topic)
        case "brand":
            scope = Scope("brand", message.brand)
        case "everything" if message.everything:
            return EVERYTHING
        case _:
            raise invalid("scope", "name a list_id, a topic, a brand, or everything")
    if problem := scope.problem():
        raise invalid("scope", problem)
    return scope


def scope_of_event(message: pb.Scope) -> Scope:
    """As it was recorded: whoever runs the installation has a scope that nobody asks for. Raises Invalid."""
    return PLATFORM if message.platform else scope_from_wire(message)


def belongs_from_wire(scope: pb.Scope, brand: str) -> Belongs:
    """What a message belongs to. Raises Invalid as scope_from_wire does, or for a name that no brand can have."""
    if brand and (problem := Scope("brand", brand).problem()):
        raise invalid("brand", problem)
    return belonging(scope_from_wire(scope), brand)


def route_from_wire(number: pb.Route.ValueType, default: Route) -> Route:
    """Raises Invalid for a number that this version does not know."""
    if number == pb.ROUTE_UNSPECIFIED:
        return default
    route = _ROUTES_BACK.get(number)
    if route is None:
        raise invalid("route", "not a known route")
    return route


def kind_from_wire(number: pb.ConsentEvent.Kind.ValueType, default: Kind) -> Kind:
    """Raises Invalid for a number that this version does not know."""
    if number == pb.ConsentEvent.KIND_UNSPECIFIED:
        return default
    kind = _KINDS_BACK.get(number)
    if kind is None:
        raise invalid("kind", "not a known kind")
    return kind


def particulars_from_wire(message: pb.Particulars) -> Particulars:
    """Raises Invalid for a grade that this version does not know; what the words mean is checked where they are used."""
    if message == _NOTHING:
        return NONE_STATED
    grade = _GRADES_BACK.get(message.grade)
    if grade is None:
        raise invalid("particulars.grade", "not a known grade")
    return Particulars(
        relationship=message.relationship,
        held=_evidence("held", message.held),
        denied=_evidence("denied", message.denied),
        territories=tuple(message.territories),
        grade=grade,
        ended_us=microseconds(message.ended_at) if message.HasField("ended_at") else None,
        until_us=microseconds(message.until) if message.HasField("until") else None,
        recipient_kind=message.recipient_kind,
        address_kind=message.address_kind,
        time_zone=message.time_zone,
        language=message.language,
        method=message.method,
        controller=message.controller,
        purposes=tuple(message.purposes),
        lawful_basis=message.lawful_basis,
        refers_to=message.refers_to,
        refers_to_version=message.refers_to_version,
        objection=message.objection,
    )


def evidence_to_wire(names: Iterable[str]) -> list[pb.Evidence.ValueType]:
    """Numbers, of a byte each: with an import's events a name each time would be a tenth of all that is written."""
    return [_EVIDENCE[name] for name in names]


def _evidence(field: str, numbers: Iterable[pb.Evidence.ValueType]) -> tuple[str, ...]:
    try:
        return tuple([_EVIDENCE_BACK[number] for number in numbers])
    except KeyError:
        raise invalid(f"particulars.{field}", "not a known evidence") from None


def _put_particulars(particulars: Particulars, message: pb.Particulars) -> None:
    message.SetInParent()
    for name in _ALIKE:
        setattr(message, name, getattr(particulars, name))
    message.held.extend(evidence_to_wire(particulars.held))
    message.denied.extend(evidence_to_wire(particulars.denied))
    message.territories.extend(particulars.territories)
    message.purposes.extend(particulars.purposes)
    message.grade = _GRADES[particulars.grade]
    if particulars.ended_us is not None:
        message.ended_at.SetInParent()
        _put_time(particulars.ended_us, message.ended_at)
    if particulars.until_us is not None:
        message.until.SetInParent()
        _put_time(particulars.until_us, message.until)


def _put_actor(actor: Actor, message: context_pb2.Actor) -> None:
    message.kind = _ACTORS.get(actor.kind, context_pb2.Actor.KIND_UNSPECIFIED)
    message.id = actor.id


def actor_from_wire(message: context_pb2.Actor) -> Actor:
    return Actor(_ACTORS_BACK.get(message.kind, ""), message.id)


def event_to_wire(event: ConsentEvent) -> pb.ConsentEvent:
    """Field by field: with an import's thousands that is half the time of a constructor with all of them."""
    message = pb.ConsentEvent()
    message.event_id = event.event_id
    message.tenant_id = event.tenant_id
    message.address_key = event.address_key
    message.version = event.version
    message.kind = _KINDS[event.kind]
    message.route = _ROUTES[event.route]
    _put_scope(event.scope, message.scope)
    _put_time(event.at_us, message.at)
    _put_time(event.recorded_at_us, message.recorded_at)
    message.source = event.source
    message.notice_hash = event.notice_hash
    message.sealed_profile_evidence = event.sealed_profile_evidence
    message.sealed_proof_evidence = event.sealed_proof_evidence
    message.sealed_attestation = event.sealed_attestation
    _put_actor(event.actor, message.actor)
    if event.on_behalf_of:
        _put_actor(event.on_behalf_of, message.on_behalf_of)
    message.campaign_id = event.campaign_id
    message.idempotency_key = event.idempotency_key
    if event.particulars is not NONE_STATED:
        _put_particulars(event.particulars, message.particulars)
    return message


def event_from_wire(message: pb.ConsentEvent) -> ConsentEvent:
    return ConsentEvent(
        event_id=message.event_id,
        tenant_id=message.tenant_id,
        address_key=message.address_key,
        version=message.version,
        kind=_KINDS_BACK[message.kind],
        scope=scope_of_event(message.scope),
        route=_ROUTES_BACK[message.route],
        at_us=microseconds(message.at),
        recorded_at_us=microseconds(message.recorded_at),
        actor=actor_from_wire(message.actor),
        on_behalf_of=actor_from_wire(message.on_behalf_of) if message.HasField("on_behalf_of") else None,
        source=message.source,
        notice_hash=message.notice_hash,
        sealed_profile_evidence=message.sealed_profile_evidence,
        sealed_proof_evidence=message.sealed_proof_evidence,
        sealed_attestation=message.sealed_attestation,
        campaign_id=message.campaign_id,
        idempotency_key=message.idempotency_key,
        particulars=particulars_from_wire(message.particulars) if message.HasField("particulars") else NONE_STATED,
    )


def encode(event: ConsentEvent) -> bytes:
    """The event's one and only serialization: stored, never repeated."""
    return event_to_wire(event).SerializeToString()


def encode_alike(event: ConsentEvent) -> Callable[[str, bytes, bytes, int], bytes]:
    """(event id, address key, sealed proof evidence, when it was) → what `encode` gives of this event with them in it.

    The fields between them are encoded once, and joined in the order of their numbers."""
    whole = event_to_wire(event)
    tenant, to_route, to_profile_evidence, rest = (_fields(whole, *ends) for ends in ((2, 2), (4, 7), (9, 12), (14, 1 << 29)))

    def one(event_id: str, address_key: bytes, sealed_proof_evidence: bytes, at_us: int) -> bytes:
        evidence = _evidence_head(len(sealed_proof_evidence)) if sealed_proof_evidence else b""
        return b"".join((
            _id_head(len(event_id)), event_id.encode(), tenant, _key_head(len(address_key)), address_key, to_route, _at(at_us),
            to_profile_evidence, evidence, sealed_proof_evidence, rest,
        ))  # fmt: skip

    return one


def _fields(whole: Message, first: int, last: int) -> bytes:
    """Those with numbers from one to the other."""
    part = type(whole)()
    part.CopyFrom(whole)
    for field, _ in whole.ListFields():
        if not first <= field.number <= last:
            part.ClearField(field.name)
    return part.SerializeToString()


@lru_cache(1024)
def _at(us: int) -> bytes:
    return pb.ConsentEvent(at=timestamp(us)).SerializeToString()


# Tag and length, which stand before a field's own bytes.
@lru_cache(64)
def _id_head(length: int) -> bytes:
    return pb.ConsentEvent(event_id="." * length).SerializeToString()[:-length]


@lru_cache(64)
def _key_head(length: int) -> bytes:
    return pb.ConsentEvent(address_key=bytes(length)).SerializeToString()[:-length]


@lru_cache(1024)
def _evidence_head(length: int) -> bytes:
    return pb.ConsentEvent(sealed_proof_evidence=bytes(length)).SerializeToString()[:-length]


def decode(data: bytes) -> ConsentEvent:
    return event_from_wire(pb.ConsentEvent.FromString(data))


def receipt_to_wire(receipt: Receipt) -> pb.Withdrawal:
    said = pb.Withdrawal(
        event_id=receipt.event_id,
        outcome=OUTCOMES[receipt.outcome],
        withdrawn_at=timestamp(receipt.withdrawn_at_us),
        answered_at=timestamp(receipt.answered_at_us),
        scope=scope_to_wire(receipt.scope),
        already_withdrawn=receipt.already_withdrawn,
        relay_may_hold=receipt.relay_may_hold,
    )
    if receipt.relay_until_us:
        said.relay_until.FromMicroseconds(receipt.relay_until_us)
    return said


def encode_answer(receipt: Receipt) -> bytes:
    """The event that tells the log what a person was answered."""
    return pb.WithdrawalAnswered(
        tenant_id=receipt.tenant_id,
        address_key=receipt.address_key,
        withdrawal=receipt_to_wire(receipt),
        partition=receipt.partition,
        offset=receipt.offset,
        epoch=receipt.epoch,
    ).SerializeToString()


def invalid(field: str, message: str) -> Invalid:
    return Invalid("One field of the request is wrong.", fields=[FieldError(field, message)])
