"""JSON → protobuf by descriptor, strictly: names as in the contract, nothing unknown, nothing of another type, every fault named.

`null` means: not given. Fields of class RESTRICTED do not exist here. Single values are values_in.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw_common.errors import FieldError, Invalid
from postlaw_gateway.clients import policy_of
from postlaw_gateway.naming import TIMESTAMP, is_map
from postlaw_gateway.values_in import WrongValue, scalar

_MOST_FAULTS = 50  # a list of faults is for a person to read


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259) without duplicate names, NaN or Infinity. Raises Invalid."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.") from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None
    except ValueError as wrong:
        raise Invalid(f"The body is not valid JSON: {_plain(wrong)}.") from None
    if not isinstance(value, dict):
        raise Invalid("The body must be a JSON object.")
    return cast("dict[str, Any]", value)


def _plain(wrong: ValueError) -> str:
    # Only the decoder's own words: other messages could quote the body, and a problem never holds personal data.
    if isinstance(wrong, json.JSONDecodeError):
        return f"{wrong.msg.rstrip(':').lower()} at line {wrong.lineno}, column {wrong.colno}"
    return str(wrong) if isinstance(wrong, _Repeated) else "a number is out of range or not a number"


class _Repeated(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated("a name occurs twice in one object")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError


def fill(message: Message, value: dict[str, Any], *, hidden: Iterable[str] = ()) -> None:
    """Sets the message's fields from a JSON object. `hidden`: dotted paths that callers may not set (they count as unknown).
    Raises Invalid with every fault that was found (the first 50)."""
    faults: list[FieldError] = []
    _fill(message, value, "", "", frozenset(hidden), faults)
    refuse(faults)


def refuse(faults: list[FieldError]) -> None:
    """Raises Invalid where there are any."""
    if faults:
        raise Invalid("Some fields are not as the contract has them; see `fields`.", fields=faults[:_MOST_FAULTS])


def _fill(message: Message, value: dict[str, Any], at: str, path: str, hidden: frozenset[str], faults: list[FieldError]) -> None:
    fields = cast("Mapping[str, FieldDescriptor]", message.DESCRIPTOR.fields_by_name)
    chosen: dict[str, str] = {}
    for name, item in value.items():
        field = fields.get(name)
        if field is None or path + name in hidden or policy_of(field).restricted:
            faults.append(FieldError(at + _shown(name), "is not a field of this request"))
            continue
        if item is None:
            continue
        oneof = field.containing_oneof
        if oneof is not None and chosen.setdefault(oneof.name, name) != name:
            faults.append(FieldError(at + name, f"cannot be given together with {at}{chosen[oneof.name]}"))
            continue
        _set(message, field, item, at + name, path + name + ".", hidden, faults)


def _shown(name: str) -> str:
    # An unknown name is the caller's own text: cut it short, and keep control characters out of the answer.
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:64])


def _set(message: Message, field: FieldDescriptor, item: Any, at: str, path: str, hidden: frozenset[str], faults: list[FieldError]) -> None:
    if is_map(field):
        _set_map(message, field, item, at, faults)
    elif field.is_repeated:
        if not isinstance(item, list):
            faults.append(FieldError(at, "must be a list"))
            return
        target = getattr(message, field.name)
        for number, one in enumerate(cast("list[Any]", item)):
            _append(target, field, one, f"{at}[{number}]", path, hidden, faults)
            if len(faults) >= _MOST_FAULTS:
                return
    elif field.message_type is not None and field.message_type.full_name != TIMESTAMP:
        if isinstance(item, dict):
            nested = getattr(message, field.name)
            nested.SetInParent()
            _fill(nested, cast("dict[str, Any]", item), at + ".", path, hidden, faults)
        else:
            faults.append(FieldError(at, "must be an object"))
    else:
        try:
            converted = scalar(field, item)
        except WrongValue as wrong:
            faults.append(FieldError(at, str(wrong)))
            return
        if isinstance(converted, Timestamp):
            getattr(message, field.name).CopyFrom(converted)
        else:
            setattr(message, field.name, converted)


def _append(target: Any, field: FieldDescriptor, one: Any, at: str, path: str, hidden: frozenset[str], faults: list[FieldError]) -> None:
    if field.message_type is not None and field.message_type.full_name != TIMESTAMP:
        if isinstance(one, dict):
            _fill(target.add(), cast("dict[str, Any]", one), at + ".", path, hidden, faults)
        else:
            faults.append(FieldError(at, "must be an object"))
        return
    try:
        target.append(scalar(field, one))
    except WrongValue as wrong:
        faults.append(FieldError(at, str(wrong)))


def _set_map(message: Message, field: FieldDescriptor, item: Any, at: str, faults: list[FieldError]) -> None:
    if not isinstance(item, dict):
        faults.append(FieldError(at, "must be an object"))
        return
    entry = cast(Descriptor, field.message_type)
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    target = getattr(message, field.name)
    for name, one in cast("dict[str, Any]", item).items():
        try:
            target[scalar(key, name)] = scalar(value, one)
        except WrongValue as wrong:
            faults.append(FieldError(f"{at}.{_shown(name)}", str(wrong)))
            if len(faults) >= _MOST_FAULTS:
                return
