"""How the contract's names appear in JSON: fields as they are, enum values in lower case without their enum's prefix."""

from __future__ import annotations

import re
from functools import cache

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

TIMESTAMP = "google.protobuf.Timestamp"
EMPTY = "google.protobuf.Empty"
SAFE_INTEGER = 2**53 - 1  # what a JSON number holds exactly everywhere (RFC 8259 §6)


@cache
def _prefix(enum: EnumDescriptor) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"


def enum_value_name(enum: EnumDescriptor, name: str) -> str:
    """`sent` for RECIPIENT_STATE_SENT of RecipientState."""
    return name.removeprefix(_prefix(enum)).lower()


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field that holds a map's values; None where the field is no map."""
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return None
    return field.message_type.fields_by_name["value"]


def is_map(field: FieldDescriptor) -> bool:
    return map_value(field) is not None
