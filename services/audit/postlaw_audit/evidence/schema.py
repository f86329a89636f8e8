"""The contracts as verify.py reads them: of each message, by field number, a name, a kind, and whether there are several.

What the contract classes RESTRICTED (sealed evidence) is left out: it stands in the entry's bytes, and says nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.options.v1 import options_pb2
from postlaw_audit.search.about import event_messages

Schema = dict[str, Any]


@cache
def whole_schema() -> Schema:
    return schema_of(event_messages())


def schema_of(types: Iterable[str]) -> Schema:
    """Of entries, and of these types of events; those that the contracts lack are left out."""
    schema: Schema = {"Other": {}, "events": {}}
    _add(schema, audit.Entry.DESCRIPTOR, "Entry")
    for type in types:
        if (message := event_messages().get(type)) is not None:
            schema["events"][type] = message.full_name
            _add(schema, message, message.full_name)
    return schema


def _add(schema: Schema, message: Descriptor, name: str) -> None:
    if name in schema:
        return
    rows: dict[str, tuple[str, str, bool]] = {}
    schema[name] = rows
    for field in message.fields:
        if field.GetOptions().Extensions[options_pb2.field].data_class == options_pb2.DATA_CLASS_RESTRICTED:
            continue
        kind = "string" if field.type == field.TYPE_STRING else "bytes" if field.type == field.TYPE_BYTES else "number"
        if field.message_type is not None:
            kind = field.message_type.full_name
            _add(schema, field.message_type, kind)
        elif field.enum_type is not None:
            kind = f"enum {field.enum_type.full_name}"
            schema[kind] = {str(value.number): value.name for value in field.enum_type.values}
        rows[str(field.number)] = (field.name, kind, field.is_repeated)
