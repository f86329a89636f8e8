"""A frequency cap's protobuf, and the event that tells of a change."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import Actor
from postlaw_sending.campaigns.wire import actor_to_wire, timestamp
from postlaw_sending.frequency.domain import Cap

CAPS_CHANGED = "postlaw.sending.caps.v1"
CAP_CHANGED = "postlaw.sending.FrequencyCapChanged"


def cap_to_wire(cap: Cap) -> sending.FrequencyCap:
    return sending.FrequencyCap(messages=cap.messages, days=cap.days, counted_from=timestamp(cap.counted_from_us))


def changed(tenant_id: str, cap: Cap, version: int, actor: Actor) -> bytes:
    """A FrequencyCapChanged."""
    return sending.FrequencyCapChanged(
        tenant_id=tenant_id, messages=cap.messages, days=cap.days, version=version, actor=actor_to_wire(actor)
    ).SerializeToString()
