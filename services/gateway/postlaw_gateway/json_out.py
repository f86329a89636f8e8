"""Protobuf → JSON by descriptor: a plan is made once a message type, then followed.

Every field without presence is there, also when zero; a message or `oneof` member that is not set is left out. Bytes are base64,
hashes hexadecimal, 64-bit numbers beyond 2^53 - 1 are decimal strings, times are RFC 3339 in UTC. Fields of class RESTRICTED are left out.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from postlaw_gateway.clients import policy_of
from postlaw_gateway.naming import SAFE_INTEGER, TIMESTAMP, enum_value_name, map_value

_Convert = Callable[[Any], Any]
_encoder = msgspec.json.Encoder()

_LONG = frozenset(
    {
        FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64,
    }
)  # fmt: skip


def encode(value: Any) -> bytes:
    """Compact JSON, UTF-8."""
    return _encoder.encode(value)


def to_json(message: Message, *, reveal: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The message as a JSON object. `reveal`: top-level RESTRICTED fields that this answer exists to show."""
    answer = _follow(message)
    for name in reveal:
        answer[name] = getattr(message, name)
    return answer


def _follow(message: Message) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for name, presence, convert in _plan(message.DESCRIPTOR):
        if presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        answer[name] = value if convert is None else convert(value)
    return answer


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[str, bool, _Convert | None], ...]:
    return tuple(
        (field.name, field.has_presence and not field.is_repeated, _conversion(field))
        for field in descriptor.fields
        if not policy_of(field).restricted
    )


def _conversion(field: FieldDescriptor) -> _Convert | None:
    value_field = map_value(field)
    if value_field is not None:
        one = _single(value_field) or _same
        return lambda value: {str(name): one(item) for name, item in value.items()}
    single = _single(field)
    if field.is_repeated:
        one = single or _same
        return lambda value: [one(item) for item in value]
    return single


def _single(field: FieldDescriptor) -> _Convert | None:
    if field.message_type is not None:
        return _time if field.message_type.full_name == TIMESTAMP else _follow
    if field.enum_type is not None:
        enum = field.enum_type
        names = {value.number: enum_value_name(enum, value.name) for value in enum.values}
        return lambda value: names.get(value, str(value))  # a number from a newer contract, as it is
    if field.type == FieldDescriptor.TYPE_BYTES:
        if policy_of(field).hex:
            return bytes.hex
        return lambda value: b64encode(value).decode("ascii")
    return _long if field.type in _LONG else None


def _same(value: Any) -> Any:
    return value


def _long(value: int) -> int | str:
    return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)


def _time(value: Any) -> str:
    return value.ToJsonString()
