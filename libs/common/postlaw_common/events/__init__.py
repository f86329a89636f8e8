"""Events: protobuf on the bus in CloudEvents binary mode, serialized once.

The same bytes stand in the document, on the bus and in the audit log, so reconciliation compares hashes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from postlaw_common.bus import Received, Record
from postlaw_common.caller import acting, maybe_current
from postlaw_common.ids import new_id
from postlaw_common.telemetry.spans import TRACEPARENT, outgoing


class Event(NamedTuple):
    """`subject`: the aggregate, `sequence`: its version after this event (0: none), `data`: the message's bytes."""

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    tenant_id: str
    time_us: int
    data: bytes
    actor: str = ""
    on_behalf_of: str = ""
    traceparent: str = ""
    request_id: str = ""
    network: str = ""


def new_event(
    type: str,
    data: bytes,
    *,
    source: str,
    subject: str,
    sequence: int,
    tenant_id: str,
    event_id: str | None = None,
    time_us: int | None = None,
) -> Event:
    """An event of now, in the current caller's name. `source` is the service: "consent"."""
    caller = maybe_current()
    origin = caller.origin if caller else None
    return Event(
        id=event_id or new_id("evt"),
        type=type,
        source=source,
        subject=subject,
        sequence=sequence,
        tenant_id=tenant_id,
        time_us=time_us or time.time_ns() // 1000,
        data=data,
        actor=str(acting() or f"service:{source}"),
        on_behalf_of=str(caller.on_behalf_of) if caller and caller.on_behalf_of else "",
        traceparent=outgoing(),
        request_id=origin.request_id if origin else "",
        network=origin.network if origin else "",
    )


@lru_cache(4096)
def _encoded(text: str) -> bytes:
    """For what many events have in common."""
    return text.encode()


def to_record(event: Event, topic: str, partition: int, key: bytes | None = None) -> Record:
    """The event as a record; `key` defaults to its subject."""
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": event.id.encode(),
        "ce_type": _encoded(event.type),
        "ce_source": _encoded("/postlaw/" + event.source),
        "ce_subject": event.subject.encode(),
        "ce_time": str(event.time_us).encode(),
        "ce_sequence": str(event.sequence).encode(),
        "ce_tenant": _encoded(event.tenant_id),
        "ce_actor": _encoded(event.actor),
    }
    if event.on_behalf_of:
        headers["ce_onbehalfof"] = event.on_behalf_of.encode()
    if event.request_id:
        headers["ce_requestid"] = event.request_id.encode()
    if event.network:
        headers["ce_network"] = event.network.encode()
    if event.traceparent:
        headers[TRACEPARENT] = event.traceparent.encode()
    headers["content-type"] = b"application/protobuf"
    return Record(topic=topic, partition=partition, value=event.data, key=key or event.subject.encode(), headers=headers)


def partition_of(subject: str, partitions: int) -> int:
    """Where the events of a thing go that belongs to no person: by its id, so that they stay in order."""
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=8).digest(), "big") % partitions


def from_record(record: Received) -> Event:
    """The event that a record carries. ValueError where it is none."""
    headers: Mapping[str, bytes] = record.headers
    try:
        return Event(
            id=headers["ce_id"].decode(),
            type=headers["ce_type"].decode(),
            source=headers["ce_source"].decode().removeprefix("/postlaw/"),
            subject=headers["ce_subject"].decode(),
            sequence=int(headers["ce_sequence"]),
            tenant_id=headers["ce_tenant"].decode(),
            time_us=int(headers["ce_time"]),
            data=record.value,
            actor=headers.get("ce_actor", b"").decode(),
            on_behalf_of=headers.get("ce_onbehalfof", b"").decode(),
            traceparent=headers.get(TRACEPARENT, b"").decode(),
            request_id=headers.get("ce_requestid", b"").decode(),
            network=headers.get("ce_network", b"").decode(),
        )
    except (KeyError, UnicodeDecodeError, ValueError) as wrong:
        raise ValueError(f"{record.topic}[{record.partition}]@{record.offset} is not an event of ours: {wrong}") from wrong
