"""JSON schemas (draft 2020-12, as OpenAPI 3.1 has them) of the contract's messages, as a request takes them and as an answer shows them."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from postlaw_gateway.clients import policy_of
from postlaw_gateway.field_meanings import meaning_of
from postlaw_gateway.naming import TIMESTAMP, enum_value_name, is_map, map_value

Schema = dict[str, Any]

_LONG = {
    FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64,
}  # fmt: skip
_INT = {
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_SINT32,
    FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32,
}  # fmt: skip
PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

RECEIPT: Schema = {
    "type": "object",
    "description": "Signed as it stands: Kantara Consent Receipt 1.1.0, with the sections of ISO/IEC TS 27560:2023 in `record`. `log` is "
    "the audit log's inclusion proof, absent until the log has the event. `signature` is a detached JWS (EdDSA) over the JCS form of all "
    "the rest, by a key of /v1/receipt-keys. `postlaw receipt verify` checks both without us.",
    "required": ["version", "consentReceiptID", "consentTimestamp", "piiPrincipalId", "piiControllers", "services", "record", "signature"],
    "properties": {
        "version": {"const": "KI-CR-v1.1.0"},
        "consentReceiptID": {"type": "string", "description": "The event's id"},
        "consentTimestamp": {"type": "integer", "description": "Seconds since 1970"},
        "piiPrincipalId": {"type": "string", "description": "A keyed hash of the address, in hexadecimal"},
        "piiControllers": {"type": "array"},
        "services": {"type": "array"},
        "record": {"type": "object"},
        "log": {"type": "object"},
        "signature": {"type": "string"},
    },
}


def answered(descriptor: Descriptor, schemas: dict[str, Schema]) -> Schema:
    """A reference to the message as it is answered."""
    name = descriptor.name
    if name not in schemas:
        schemas[name] = {}
        schemas[name] = object_of(descriptor, schemas, frozenset(), taken=False)
    return ref(name)


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(descriptor: Descriptor, schemas: dict[str, Schema], hidden: frozenset[str], *, taken: bool, path: str = "") -> Schema:
    """A message as an object. `taken`: as a request has it, whole and in place, since what is hidden differs from route to route."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for field in descriptor.fields:
        policy = policy_of(field)
        if policy.restricted or path + field.name in hidden:
            continue
        below = field.message_type
        if taken and below is not None and below.full_name != TIMESTAMP and not is_map(field):
            nested = object_of(below, schemas, hidden, taken=True, path=f"{path}{field.name}.")
            properties[field.name] = _described(field, {"type": "array", "items": nested} if field.is_repeated else nested)
        else:
            properties[field.name] = value_of(field, schemas)
        if policy.max_items:
            properties[field.name] |= {"maxProperties" if is_map(field) else "maxItems": policy.max_items}
        if policy.required if taken else not (field.has_presence and not field.is_repeated):
            required.append(field.name)
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if taken:
        schema["additionalProperties"] = False
    return schema


def value_of(field: FieldDescriptor, schemas: dict[str, Schema]) -> Schema:
    value_field = map_value(field)
    if value_field is not None:
        return _described(field, {"type": "object", "additionalProperties": _single(value_field, schemas)})
    single = _single(field, schemas)
    return _described(field, {"type": "array", "items": single} if field.is_repeated else single)


def _described(field: FieldDescriptor, schema: Schema) -> Schema:
    meaning = meaning_of(field)
    return {**schema, "description": meaning} if meaning else schema


def _single(field: FieldDescriptor, schemas: dict[str, Schema]) -> Schema:
    if field.message_type is not None:
        if field.message_type.full_name == TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        return answered(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": _names(field.enum_type)}
    policy = policy_of(field)
    if field.type in _LONG:
        return {"type": ["integer", "string"], "format": "int64"}
    if field.type in _INT:
        return {"type": "integer", "format": "int32"}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return {"type": "number"}
    schema: Schema = {"type": "string"}
    if field.type == FieldDescriptor.TYPE_BYTES and policy.hex:
        return schema | {"pattern": "^(?:[0-9a-f]{2})*$", "description": "SHA-256, in hexadecimal"}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return schema | {"contentEncoding": "base64"}
    if policy.max_length:
        schema["maxLength"] = policy.max_length
    if policy.pattern:
        schema["pattern"] = f"^(?:{policy.pattern})$"
    return schema


def _names(enum: EnumDescriptor) -> list[str]:
    return [enum_value_name(enum, value.name) for value in enum.values]
