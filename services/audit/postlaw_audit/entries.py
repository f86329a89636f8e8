"""From a record on the bus to an entry of the log. Only this module, wire's neighbour, knows the entry's protobuf.

An entry is put together from its fields in the order of their numbers, each encoded by protobuf alone: joined, they are byte for byte
what protobuf makes of the whole message in deterministic mode. Most fields are the same from record to record, so their bytes are kept;
that takes a third of the time.
"""

from __future__ import annotations

from functools import lru_cache

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import ENTRY_LIMIT
from postlaw_common.bus import Received
from postlaw_common.ids import time_ms_of

UNDECODABLE = "postlaw.audit.Undecodable"
MOST_OF_A_NAME = 400  # bytes; nine of them, the topic's own and the numbers stay below what DATA_LIMIT leaves
DATA_LIMIT = ENTRY_LIMIT - 4096  # what is left beside ids, names and context


def entries_of(record: Received) -> list[tuple[str, bytes]]:
    """(event id, entry), one as a rule. A record that is no event of ours is kept all the same, flagged by its type; one that would
    exceed an entry's limit becomes several, each with its `part` ("2/3") in the context."""
    topic, partition, offset, data, _, headers, time_us = record
    get = headers.get
    names = [get(header, b"") for header in _HEADERS]
    joined = b"".join(names)
    if len(joined) > MOST_OF_A_NAME or not joined.isascii():
        names = [_bounded(name) for name in names]
    event_id, subject, type, tenant_id, actor, network, on_behalf_of, request, traceparent = names
    before = (
        _place(topic, partition),
        _offset(offset),
        _id_head(len(event_id)),
        event_id,
        _kind(type, tenant_id, headers.get("ce_sequence", b"")[:19]),
        _subject_head(len(subject)),
        subject,
        _context("actor", actor) if "ce_actor" in headers else b"",
        _context("network", network) if network else b"",
        _context("on_behalf_of", on_behalf_of) if "ce_onbehalfof" in headers else b"",
    )
    trace = _context("traceparent", traceparent) if "traceparent" in headers else b""
    if request:
        trace = audit.Entry(context={"request": request.decode()}).SerializeToString() + trace
    time = _times(time_us, headers.get("ce_time", b""))
    if len(data) <= DATA_LIMIT:
        return [(event_id.decode(), b"".join((*before, trace, _data_head(len(data)), data, time)))]
    pieces = [data[start : start + DATA_LIMIT] for start in range(0, len(data), DATA_LIMIT)]
    parts = [_context("part", b"%d/%d" % (number, len(pieces))) for number in range(1, len(pieces) + 1)]
    return [
        (event_id.decode(), b"".join((*before, part, trace, _data_head(len(piece)), piece, time)))
        for part, piece in zip(parts, pieces, strict=True)
    ]


_HEADERS = ("ce_id", "ce_subject", "ce_type", "ce_tenant", "ce_actor", "ce_network", "ce_onbehalfof", "ce_requestid", "traceparent")


def _bounded(name: bytes) -> bytes:
    """Whatever stands there as UTF-8, in bounds: a record that cannot become an entry would hold up the whole log."""
    return name[:MOST_OF_A_NAME].decode("utf-8", "ignore").encode()


@lru_cache(1024)
def _place(topic: str, partition: int) -> bytes:
    return audit.Entry(topic=topic, partition=partition).SerializeToString()


@lru_cache(1024)
def _offset(offset: int) -> bytes:
    return audit.Entry(offset=offset).SerializeToString()


@lru_cache(1024)
def _kind(type: bytes, tenant_id: bytes, sequence: bytes) -> bytes:
    return audit.Entry(
        type=type.decode() or UNDECODABLE,
        tenant_id=tenant_id.decode(),
        sequence=int(sequence) if sequence.isdigit() and len(sequence) < 19 else 0,
    ).SerializeToString()


@lru_cache(1024)
def _context(name: str, value: bytes) -> bytes:
    return audit.Entry(context={name: value.decode()}).SerializeToString()


@lru_cache(256)
def _times(time_us: int, happened: bytes) -> bytes:
    if not happened.isdigit() or len(happened) >= 19:
        return audit.Entry(time_us=time_us).SerializeToString()
    return audit.Entry(time_us=time_us, event_time_us=int(happened)).SerializeToString()


# Tag and length, which stand before a field's own bytes; nothing where there are none.
@lru_cache(1024)
def _id_head(length: int) -> bytes:
    return audit.Entry(event_id="." * length).SerializeToString()[: -length or None]


@lru_cache(1024)
def _subject_head(length: int) -> bytes:
    return audit.Entry(subject="." * length).SerializeToString()[: -length or None]


@lru_cache(1024)
def _data_head(length: int) -> bytes:
    return audit.Entry(data=bytes(length)).SerializeToString()[: -length or None]


def event_id_of(entry: bytes) -> str:
    return audit.Entry.FromString(entry).event_id


def parts_of(entry: bytes) -> int:
    """How many entries its event takes, which follow each other."""
    return int(audit.Entry.FromString(entry).context.get("part", "1/1").rpartition("/")[2])


def second_of(event_id: str) -> int | None:
    """The second in which the event's id was made; None for a foreign id."""
    return _second_of(event_id[:-_AFTER_THE_TIME])


_AFTER_THE_TIME = 16  # characters of an id that do not tell the time: all events of a millisecond have the others in common


@lru_cache(1024)
def _second_of(time_of_id: str) -> int | None:
    try:
        return time_ms_of(time_of_id + "0" * _AFTER_THE_TIME) // 1000
    except ValueError:
        return None
