"""The stop's protobuf on one side, plain values on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.stop.scope import BRAND, EVERYTHING, recipient_tag

CONSENT_EVENTS = "postlaw.consent.events.v1"
JOBS = "postlaw.sending.jobs.v1"
SINGLES = "postlaw.sending.singles.v1"
WATERMARKS = "postlaw.sending.watermarks.v1"
OUTCOMES = "postlaw.sending.outcomes.v1"

_Event = consent.ConsentEvent
# Kinds that leave alone what the first gate let through: they open, are about tracking only, or (expired) come when the decision, which
# ends by itself, has ended. Whatever is not named here closes, a kind of a later version too.
_LEAVING_ALONE = frozenset({
    _Event.KIND_GIVEN, _Event.KIND_REQUESTED, _Event.KIND_IMPLIED, _Event.KIND_CONFIRMED, _Event.KIND_RENEWED, _Event.KIND_EXPIRED,
    _Event.KIND_UNRESTRICTED, _Event.KIND_RESUMED, _Event.KIND_REACHABLE, _Event.KIND_LIFTED,
    _Event.KIND_TRACKING_GIVEN, _Event.KIND_TRACKING_WITHDRAWN,
})  # fmt: skip
# The others that close, close everything: GDPR art. 18 and 21 and a pause know no topics. A complaint knows brands.
_OF_THEIR_SCOPE = frozenset({_Event.KIND_WITHDRAWN, _Event.KIND_REFUSED, _Event.KIND_INVALIDATED})
# Acts of somebody who is answered: a bounce, a complaint by mail or an erasure is not.
_AWAITED = frozenset({_Event.KIND_WITHDRAWN, _Event.KIND_REFUSED, _Event.KIND_OBJECTED, _Event.KIND_RESTRICTED, _Event.KIND_PAUSED})


def scope_text(scope: consent.Scope) -> str:
    match scope.WhichOneof("of"):
        case "list_id":
            return f"list:{scope.list_id}"
        case "topic":
            return f"topic:{scope.topic}"
        case "brand":
            return BRAND + scope.brand
        case _:
            return EVERYTHING


class Closing(NamedTuple):
    """What stops mail, to whom (the recipient's tag) and of which scope. `awaited`: a person, or who asks for them, waits for what becomes
    of it; not where mail came back, nor in an import."""

    tag: bytes
    scope: str
    awaited: bool


def closing(value: bytes) -> Closing | None:
    """Of an event of the consent log; None for one that stops nothing. ValueError where it cannot be read."""
    try:
        event = consent.ConsentEvent.FromString(value)
    except DecodeError as wrong:
        raise ValueError(str(wrong)) from wrong
    if event.kind in _LEAVING_ALONE:
        return None
    of_its_scope = event.kind in _OF_THEIR_SCOPE or (event.kind == _Event.KIND_COMPLAINED and event.scope.HasField("brand"))
    scope = scope_text(event.scope) if of_its_scope else EVERYTHING
    awaited = event.kind in _AWAITED and event.route != consent.ROUTE_IMPORT
    return Closing(recipient_tag(event.tenant_id, event.address_key), scope, awaited)


@dataclass(frozen=True, slots=True)
class Applied:
    """A watermark: every consent offset up to `applied`, but for those in `waiting`, is applied by the holder of `epoch`."""

    partition: int
    applied: int
    waiting: frozenset[int]
    epoch: int
    left_open: frozenset[bytes]
    generation: str  # of the topics, to which the offsets belong
    handed: Sequence[tuple[bytes, int]] = ()  # tag and time of messages that are out, of those who said stop lately (relay_queue.py)

    def to_bytes(self) -> bytes:
        return sending.Watermark(
            partition=self.partition,
            applied=self.applied,
            waiting=sorted(self.waiting),
            epoch=self.epoch,
            left_open=sorted(self.left_open),
            generation=self.generation,
            handed=[sending.HandedOver(tag=tag, at_us=at_us) for tag, at_us in self.handed],
        ).SerializeToString()

    @classmethod
    def from_bytes(cls, value: bytes) -> Applied:
        mark = sending.Watermark.FromString(value)
        handed = tuple((one.tag, one.at_us) for one in mark.handed)
        return cls(mark.partition, mark.applied, frozenset(mark.waiting), mark.epoch, frozenset(mark.left_open), mark.generation, handed)
