"""What may leave the process in a log line or a span: everything but what the contracts class confidential or restricted (S10).

Two rules. A protobuf message is rendered field by field, each by its own declared class. A plain name (a log field, a key of a
dict, a field of a dataclass, a span's attribute) is withheld as soon as *any* message of ours declares a field of that name
confidential or restricted, because a plain value no longer says which message it came from.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from postlaw_common.contracts import every_message

WITHHELD = "[withheld]"

_DEEPEST = 8
_LONGEST = 2_000
# The second net, under the first: no text leaves with something in it that looks like a mail address (or `user:password@host`).
_ADDRESS = re.compile(r"[^\s<>\"'(),;=\[\]]+@[^\W\d_][^\s<>\"'(),;\[\]]*")


@cache
def withheld_names() -> frozenset[str]:
    """The names of all fields that some contract classes confidential or restricted."""
    return frozenset(field.name for message in every_message() for field in message.fields if is_withheld(field))


@cache
def is_withheld(field: FieldDescriptor) -> bool:
    from postlaw.options.v1 import options_pb2

    policy = field.GetOptions().Extensions[options_pb2.field]
    return policy.data_class in (options_pb2.DATA_CLASS_CONFIDENTIAL, options_pb2.DATA_CLASS_RESTRICTED)


def loggable(value: Any, depth: int = 0) -> Any:
    """The value as it may be logged: JSON types only, classified fields left out, unknown objects by their type's name alone."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return loggable_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Message):
        return _message(value, depth)
    if isinstance(value, BaseException):
        from postlaw_common.telemetry.failures import describe

        return describe(value)
    if isinstance(value, Mapping):
        return loggable_fields(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return loggable_fields({field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}, depth)
    if isinstance(value, Enum):
        return loggable(value.value, depth + 1)
    if isinstance(value, Sequence | Set):
        return [loggable(item, depth + 1) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | UUID | PurePath):
        return loggable_text(str(value))
    return f"<{type(value).__name__}>"


def loggable_fields(fields: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    names = withheld_names()
    return {loggable_text(str(name)): loggable(value, depth + 1) for name, value in fields.items() if str(name) not in names}


def loggable_text(text: str) -> str:
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return _ADDRESS.sub(WITHHELD, text) if "@" in text else text


def _message(message: Message, depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field, value in message.ListFields():
        if is_withheld(field):
            continue
        if isinstance(value, Mapping):  # a map's keys are a person's or a customer's own words
            shown[field.name] = f"<{len(value)} entries>"
        else:
            shown[field.name] = loggable(value, depth + 1)
    return shown
