"""A frequency cap's protobuf."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.wire import timestamp
from postlaw_sending.frequency.caps import Cap


def cap_to_wire(cap: Cap) -> sending.FrequencyCap:
    return sending.FrequencyCap(messages=cap.messages, days=cap.days, counted_from=timestamp(cap.counted_from_us))
