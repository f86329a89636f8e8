"""OpenAPI 3.1 of the route table, made from the contract's descriptors: what the handler takes and gives is what this says."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from postlaw_gateway.clients import method, policy_of
from postlaw_gateway.naming import EMPTY, TIMESTAMP, enum_value_name, is_map, map_value
from postlaw_gateway.routes import ROUTES, Kind, Route

Schema = dict[str, Any]

_ABOUT = (
    "The compliance core of an e-mail marketing platform: when a person says stop, the mail stops before we answer. Times are "
    "RFC 3339, bytes are base64, 64-bit numbers beyond 2^53 - 1 are decimal strings. Errors are application/problem+json (RFC 9457)."
)
_LONG = {
    FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64,
}  # fmt: skip
_INT = {
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_SINT32,
    FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32,
}  # fmt: skip
_PROBLEM: Schema = {
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


def document(public_url: str) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Schema] = {"Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, schemas)
    paths["/u/{token}"] = _opt_out(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postlaw", "version": "1", "description": _ABOUT},
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key: pl_live_…"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Schema]) -> dict[str, Any]:
    method = route.method
    operation: dict[str, Any] = {"operationId": route.rpc.partition(".")[2], "summary": route.summary, "tags": [route.tag]}
    if route.rpc == "subscribers.PutSubscriber":
        operation["operationId"] = "AddSubscriber" if route.verb == "POST" else "ReplaceSubscriber"
    operation["parameters"] = _parameters(route)
    body = _request_body(route, schemas)
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = _responses(route, schemas)
    if method.needs_context:
        operation["security"] = [{"api_key": []}]
        operation["x-scopes"] = sorted(method.scopes)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.parameters
    ]
    if route.kind is Kind.UPLOAD:
        settings = _settings(route)
        found += [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in settings.items()]
    elif route.verb in ("GET", "DELETE"):
        for field in route.method.request.fields:
            if field.name not in route.unsettable and not policy_of(field).restricted:
                found.append({"name": field.name, "in": "query", "required": False, "schema": _value(field, {})})
    if route.verb == "POST":
        found.append(_header("Idempotency-Key", "Within 24 hours the same request is answered again and not done again."))
    if route.has_version:
        found.append(_header("If-Match", "The ETag that was read: 412 if the thing has changed since."))
    if route.verb == "GET" and route.kind is Kind.JSON:
        found.append(_header("If-None-Match", "The ETag that was read: 304 if nothing has changed since."))
    return found


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _settings(route: Route) -> dict[str, Schema]:
    """An upload's settings, dotted where they lie deeper."""
    found: dict[str, Schema] = {}
    settings = route.method.request.fields_by_name["settings"].message_type
    for field in settings.fields if settings is not None else ():
        if field.message_type is not None and field.message_type.full_name != TIMESTAMP:
            found |= {f"{field.name}.{below.name}": _value(below, {}) for below in field.message_type.fields}
        else:
            found[field.name] = _value(field, {})
    return found


def _request_body(route: Route, schemas: dict[str, Schema]) -> dict[str, Any] | None:
    if route.kind is Kind.UPLOAD:
        file = {"type": "string", "contentMediaType": "text/csv"}
        form = {"type": "object", "required": ["list_id", "file"], "properties": {**_settings(route), "file": file}}
        description = "The file, with its settings in the query; or a form with the settings before the part `file`."
        content = {"text/csv": {"schema": {"type": "string"}}, "multipart/form-data": {"schema": form}}
        return {"required": True, "description": description, "content": content}
    if route.verb not in ("POST", "PUT"):
        return None
    schema = _object(route.method.request, schemas, route.unsettable, taken=True)
    if not schema["properties"]:
        return None
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses(route: Route, schemas: dict[str, Schema]) -> dict[str, Any]:
    problem = {"description": "A problem", "content": {"application/problem+json": {"schema": _ref("Problem")}}}
    good: dict[str, Any] = {"description": "Done"}
    if route.kind is Kind.DOWNLOAD:
        good["content"] = {"text/csv": {"schema": {"type": "string"}}}
    elif route.method.response.full_name != EMPTY:
        schema = _message(route.method.response, schemas)
        if route.reveals:
            shown = {name: {"type": "string", "description": "Shown this once."} for name in sorted(route.reveals)}
            schema = {"allOf": [schema, {"type": "object", "properties": shown}]}
        good["content"] = {"application/json": {"schema": schema}}
        if not route.reveals:
            good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    answers = {str(route.status): good}
    if route.upsert:
        answers["200"] = {**good, "description": "The thing was there before, and has changed"}
    return {**dict(sorted(answers.items())), "default": problem}


def _message(descriptor: Descriptor, schemas: dict[str, Schema]) -> Schema:
    """A reference to the message as it is answered."""
    name = descriptor.name
    if name not in schemas:
        schemas[name] = {}
        schemas[name] = _object(descriptor, schemas, frozenset(), taken=False)
    return _ref(name)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(descriptor: Descriptor, schemas: dict[str, Schema], hidden: frozenset[str], *, taken: bool, path: str = "") -> Schema:
    """A message as an object. `taken`: as a request has it, whole and in place, since what is hidden differs from route to route."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for field in descriptor.fields:
        policy = policy_of(field)
        if policy.restricted or path + field.name in hidden:
            continue
        below = field.message_type
        if taken and below is not None and below.full_name != TIMESTAMP and not is_map(field):
            nested = _object(below, schemas, hidden, taken=True, path=f"{path}{field.name}.")
            properties[field.name] = {"type": "array", "items": nested} if field.is_repeated else nested
        else:
            properties[field.name] = _value(field, schemas)
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


def _value(field: FieldDescriptor, schemas: dict[str, Schema]) -> Schema:
    value_field = map_value(field)
    if value_field is not None:
        return {"type": "object", "additionalProperties": _single(value_field, schemas)}
    single = _single(field, schemas)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: FieldDescriptor, schemas: dict[str, Schema]) -> Schema:
    if field.message_type is not None:
        if field.message_type.full_name == TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        return _message(field.message_type, schemas)
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
    if field.type == FieldDescriptor.TYPE_BYTES:
        return schema | {"contentEncoding": "base64"}
    if policy.max_length:
        schema["maxLength"] = policy.max_length
    if policy.pattern:
        schema["pattern"] = f"^(?:{policy.pattern})$"
    return schema


def _names(enum: EnumDescriptor) -> list[str]:
    return [enum_value_name(enum, value.name) for value in enum.values]


def _opt_out(schemas: dict[str, Schema]) -> dict[str, Any]:
    receipt = _message(method("consent.WithdrawByToken").response, schemas)
    form: Schema = {"type": "object", "properties": {"List-Unsubscribe": {"const": "One-Click"}}}
    token = [{"name": "token", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 600}}]
    problem = {"description": "A problem, or a page that says so", "content": {"application/problem+json": {"schema": _ref("Problem")}}}
    return {
        "parameters": token,
        "get": {
            "operationId": "OptOutPage", "summary": "The page behind an unsubscribe link; changes nothing", "tags": ["opt-out"],
            "responses": {"200": {"description": "The page", "content": {"text/html": {"schema": {"type": "string"}}}}, "default": problem},
        },
        "post": {
            "operationId": "OptOut", "summary": "Stop: one-click by RFC 8058, or from the page", "tags": ["opt-out"],
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": form}, "multipart/form-data": {"schema": form}},
            },
            "responses": {
                "200": {
                    "description": "The receipt",
                    "content": {"application/json": {"schema": receipt}, "text/html": {"schema": {"type": "string"}}},
                },
                "default": problem,
            },
        },
    }  # fmt: skip
