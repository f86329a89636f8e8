"""From a record on the bus to an entry of the log. Only this module, wire's neighbour, knows the entry's protobuf."""

from __future__ import annotations

from collections.abc import Mapping

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import ENTRY_LIMIT
from postlaw_common.bus import Received
from postlaw_common.ids import time_ms_of

UNDECODABLE = "postlaw.audit.Undecodable"
MOST_OF_A_NAME = 500  # bytes; seven of them, the topic's own and the numbers stay below what DATA_LIMIT leaves
DATA_LIMIT = ENTRY_LIMIT - 4096  # what is left beside ids, names and context


def entries_of(record: Received) -> list[tuple[str, bytes]]:
    """(event id, entry), one as a rule. A record that is no event of ours is kept all the same, flagged by its type; one that would
    exceed an entry's limit becomes several, each with its `part` ("2/3") in the context."""
    headers = record.headers
    event_id = _text(headers, "ce_id")
    context = {name: _text(headers, header) for name, header in _CONTEXT if header in headers}
    data = record.value
    if len(data) <= DATA_LIMIT:
        return [(event_id, _entry(record, event_id, context, data))]
    pieces = [data[start : start + DATA_LIMIT] for start in range(0, len(data), DATA_LIMIT)]
    return [
        (event_id, _entry(record, event_id, {**context, "part": f"{number}/{len(pieces)}"}, piece))
        for number, piece in enumerate(pieces, 1)
    ]


def _entry(record: Received, event_id: str, context: dict[str, str], data: bytes) -> bytes:
    headers = record.headers
    sequence = headers.get("ce_sequence", b"")
    return audit.Entry(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        event_id=event_id,
        type=_text(headers, "ce_type") or UNDECODABLE,
        tenant_id=_text(headers, "ce_tenant"),
        sequence=int(sequence) if sequence.isdigit() and len(sequence) < 19 else 0,
        subject=_text(headers, "ce_subject"),
        context=context,
        data=data,
        time_us=record.timestamp_us,
    ).SerializeToString(deterministic=True)


def _text(headers: Mapping[str, bytes], header: str) -> str:
    """Whatever stands there, in bounds: a record that cannot become an entry would hold up the whole log."""
    return headers.get(header, b"")[:MOST_OF_A_NAME].decode("utf-8", "ignore")


_CONTEXT = (("actor", "ce_actor"), ("on_behalf_of", "ce_onbehalfof"), ("traceparent", "traceparent"))


def event_id_of(entry: bytes) -> str:
    return audit.Entry.FromString(entry).event_id


def second_of(event_id: str) -> int | None:
    """The second in which the event's id was made; None for a foreign id."""
    try:
        return time_ms_of(event_id) // 1000
    except ValueError:
        return None
