"""An entry's bytes: put together from kept parts, they are what protobuf makes of the whole message."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.entries import DATA_LIMIT, MOST_OF_A_NAME, UNDECODABLE, entries_of, second_of
from postlaw_common.bus import Received
from postlaw_common.ids import new_id, time_ms_of
from postlaw_common.testing.promises import promise

CONTEXT = {"actor": "ce_actor", "on_behalf_of": "ce_onbehalfof", "traceparent": "traceparent"}
TOLD = {"network": "ce_network", "request": "ce_requestid"}  # left out where they are empty
HEADERS = ("ce_id", "ce_type", "ce_tenant", "ce_sequence", "ce_subject", "ce_time", *CONTEXT.values(), *TOLD.values(), "other")
VALUES = st.one_of(
    st.text(max_size=40).map(str.encode), st.binary(max_size=40), st.integers(0, 1 << 80).map(lambda n: b"%d" % n),
    st.binary(min_size=MOST_OF_A_NAME - 2, max_size=MOST_OF_A_NAME + 4), st.just("\N{EURO SIGN}".encode() * 200),
)  # fmt: skip
DATA = st.one_of(st.binary(max_size=300), st.integers(0, 3 * DATA_LIMIT).map(bytes))
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, (1 << 63) - 1))


def text(record: Received, header: str) -> str:
    return record.headers.get(header, b"")[:MOST_OF_A_NAME].decode("utf-8", "ignore")


def as_protobuf_has_it(record: Received, data: bytes, part: str) -> bytes:
    sequence = record.headers.get("ce_sequence", b"")
    context = {name: text(record, header) for name, header in CONTEXT.items() if header in record.headers}
    context |= {name: value for name, header in TOLD.items() if (value := text(record, header))}
    happened = record.headers.get("ce_time", b"")
    return audit.Entry(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        event_id=text(record, "ce_id"),
        type=text(record, "ce_type") or UNDECODABLE,
        tenant_id=text(record, "ce_tenant"),
        sequence=int(sequence) if sequence.isdigit() and len(sequence) < 19 else 0,
        subject=text(record, "ce_subject"),
        context=context | ({"part": part} if part else {}),
        data=data,
        time_us=record.timestamp_us,
        event_time_us=int(happened) if happened.isdigit() and len(happened) < 19 else 0,
    ).SerializeToString(deterministic=True)


@promise("A1")
@given(st.dictionaries(st.sampled_from(HEADERS), VALUES), DATA, st.integers(0, 63), NUMBERS, NUMBERS)
@example({}, b"", 0, 0, 0)
@example({"ce_sequence": b"12\xff"}, b"", 0, 0, 0)
def test_an_entry_is_what_protobuf_makes_of_it(headers: dict[str, bytes], data: bytes, partition: int, offset: int, time_us: int) -> None:
    record = Received("postlaw.consent.events.v1", partition, offset, data, None, headers, time_us)
    pieces = [data[at : at + DATA_LIMIT] for at in range(0, len(data), DATA_LIMIT)] or [b""]
    parts = [f"{number}/{len(pieces)}" if len(pieces) > 1 else "" for number in range(1, len(pieces) + 1)]
    wanted = [(text(record, "ce_id"), as_protobuf_has_it(record, *piece)) for piece in zip(pieces, parts, strict=True)]
    assert entries_of(record) == wanted


def test_an_id_of_ours_tells_its_second_and_a_foreign_one_none() -> None:
    made = new_id("evt")
    assert second_of(made) == time_ms_of(made) // 1000
    assert [second_of(foreign) for foreign in ("", "x", made[:-1], made + "0", made.replace("_", "-"), "evt_" + "!" * 26)] == [None] * 6
