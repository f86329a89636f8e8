"""The stop's protobuf on one side, plain values on the other."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.stop.scope import EVERYTHING, recipient_tag

CONSENT_EVENTS = "postlaw.consent.events.v1"
JOBS = "postlaw.sending.jobs.v1"
WATERMARKS = "postlaw.sending.watermarks.v1"
OUTCOMES = "postlaw.sending.outcomes.v1"

_WITHDRAWN = consent.ConsentEvent.KIND_WITHDRAWN


def scope_text(scope: consent.Scope) -> str:
    match scope.WhichOneof("of"):
        case "list_id":
            return f"list:{scope.list_id}"
        case "topic":
            return f"topic:{scope.topic}"
        case _:
            return EVERYTHING


def withdrawal(value: bytes) -> tuple[bytes, str] | None:
    """(recipient's tag, scope) of a withdrawal in the consent log; None for every other event. ValueError where it cannot be read."""
    try:
        event = consent.ConsentEvent.FromString(value)
    except DecodeError as wrong:
        raise ValueError(str(wrong)) from wrong
    if event.kind != _WITHDRAWN:
        return None
    return recipient_tag(event.tenant_id, event.address_key), scope_text(event.scope)


@dataclass(frozen=True, slots=True)
class Applied:
    """A watermark: every consent offset up to `applied`, but for those in `waiting`, is applied by the holder of `epoch`."""

    partition: int
    applied: int
    waiting: frozenset[int]
    epoch: int
    left_open: frozenset[bytes]
    generation: str  # of the topics, to which the offsets belong

    def to_bytes(self) -> bytes:
        return sending.Watermark(
            partition=self.partition,
            applied=self.applied,
            waiting=sorted(self.waiting),
            epoch=self.epoch,
            left_open=sorted(self.left_open),
            generation=self.generation,
        ).SerializeToString()

    @classmethod
    def from_bytes(cls, value: bytes) -> Applied:
        mark = sending.Watermark.FromString(value)
        return cls(mark.partition, mark.applied, frozenset(mark.waiting), mark.epoch, frozenset(mark.left_open), mark.generation)
