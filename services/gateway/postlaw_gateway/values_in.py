"""Single values from JSON, strictly.

Bytes are base64 (RFC 4648 §4; the URL alphabet is taken too), hashes hexadecimal, 64-bit numbers are JSON numbers or decimal
strings, times are RFC 3339, enum values are `sent` or `RECIPIENT_STATE_SENT`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw_gateway.clients import policy_of
from postlaw_gateway.naming import enum_value_name

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

_HEX = re.compile(r"([0-9a-f]{2})*")

_RANGES: dict[int, tuple[int, int]] = {}
for _types, _range in (
    ((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), (-(2**31), 2**31 - 1)),
    ((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), (0, 2**32 - 1)),
    ((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), (-(2**63), 2**63 - 1)),
    ((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), (0, 2**64 - 1)),
):
    for _type in _types:
        _RANGES[_type] = _range


class WrongValue(Exception):
    """This value does not fit its field."""


def scalar(field: FieldDescriptor, item: Any) -> Any:
    """The field's value as protobuf has it (a time as Timestamp). Raises WrongValue."""
    if field.message_type is not None:
        return _time(item)
    if field.enum_type is not None:
        return _enum(field.enum_type, item)
    if field.type in _RANGES:
        return _integer(item, *_RANGES[field.type])
    if field.type == FieldDescriptor.TYPE_BYTES and policy_of(field).hex:
        return _hash(item)
    return _OTHERS[field.type](item)


def _integer(item: Any, least: int, most: int) -> int:
    if isinstance(item, str) and re.fullmatch(r"-?\d{1,20}", item, re.ASCII):
        item = int(item)
    if isinstance(item, bool) or not isinstance(item, int):
        raise WrongValue("must be a whole number")
    if not least <= item <= most:
        raise WrongValue(f"must be from {least} to {most}")
    return item


def _text(item: Any) -> str:
    if not isinstance(item, str):
        raise WrongValue("must be a string")
    if any("\ud800" <= character <= "\udfff" for character in item):
        raise WrongValue("holds half of a surrogate pair, which is not text")
    return item


def _bool(item: Any) -> bool:
    if not isinstance(item, bool):
        raise WrongValue("must be true or false")
    return item


def _number(item: Any) -> float:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise WrongValue("must be a number")
    return float(item)


def _bytes(item: Any) -> bytes:
    if isinstance(item, str):
        plain = item.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise WrongValue("must be base64")


def _hash(item: Any) -> bytes:
    # fromhex alone would skip spaces; of two spellings one is enough, so that a path names a thing in one way.
    if isinstance(item, str) and _HEX.fullmatch(item):
        return bytes.fromhex(item)
    raise WrongValue("must be hexadecimal, in lower case")


def _enum(enum: EnumDescriptor, item: Any) -> int:
    names = {enum_value_name(enum, value.name): value.number for value in enum.values if value.number}
    number = names.get(item) if isinstance(item, str) else None
    if number is None and isinstance(item, str) and item in enum.values_by_name:
        number = enum.values_by_name[item].number
    if number is None:
        raise WrongValue("must be one of " + ", ".join(names))
    return number


def _time(item: Any) -> Timestamp:
    stamp = Timestamp()
    if isinstance(item, str) and _RFC3339.fullmatch(item):
        try:
            stamp.FromJsonString(item.upper())
        except ValueError:
            pass
        else:
            return stamp
    raise WrongValue("must be a time as RFC 3339 has it, such as 2026-03-01T12:00:00Z")


_OTHERS: dict[int, Callable[[Any], Any]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_DOUBLE: _number,
    FieldDescriptor.TYPE_FLOAT: _number,
}
