"""OpenAPI 3.1 of the route table, made from the contract's descriptors: what the handler takes and gives is what this says."""

from __future__ import annotations

import json
import sys
from typing import Any

from postlaw_gateway.clients import method, policy_of
from postlaw_gateway.naming import EMPTY, TIMESTAMP
from postlaw_gateway.requests import MAIL_TYPES
from postlaw_gateway.routes import ROUTES, Kind, Route
from postlaw_gateway.schemas import PROBLEM, RECEIPT, Schema, answered, object_of, ref, value_of

_ABOUT = (
    "The compliance core of an e-mail marketing platform: when a person says stop, the mail stops before we answer. Times are "
    "RFC 3339, bytes are base64, hashes hexadecimal, 64-bit numbers beyond 2^53 - 1 are decimal strings. "
    "Errors are application/problem+json (RFC 9457)."
)


def document(public_url: str) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Schema] = {"Problem": PROBLEM}
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
    name = route.operation or route.rpc.partition(".")[2]
    operation: dict[str, Any] = {"operationId": name, "summary": route.summary, "tags": [route.tag]}
    if route.description:
        operation["description"] = route.description
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
        {"name": name, "in": "path", "required": True, "schema": _path_schema(route, name)} for name in route.parameters
    ]
    if route.kind is Kind.UPLOAD:
        for name, schema in _settings(route).items():
            found.append({"name": name, "in": "query", "required": False, "schema": schema, **_written(schema)})
    elif route.verb in ("GET", "DELETE"):
        for field in route.method.request.fields:
            if field.name not in route.unsettable and not policy_of(field).restricted:
                found.append({"name": field.name, "in": "query", "required": False, "schema": value_of(field, {})})
    if route.verb == "POST" and route.kind is not Kind.DOWNLOAD:
        found.append(_header("Idempotency-Key", "Within 24 hours the same request is answered again and not done again."))
    if route.has_version:
        found.append(_header("If-Match", "The ETag that was read: 412 if the thing has changed since."))
    if route.verb == "GET" and route.kind is Kind.JSON:
        found.append(_header("If-None-Match", "The ETag that was read: 304 if nothing has changed since."))
    return found


def _path_schema(route: Route, name: str) -> Schema:
    field = route.method.request.fields_by_name[name]
    return value_of(field, {}) if policy_of(field).hex else {"type": "string"}


def _written(schema: Schema) -> dict[str, Any]:
    """How a setting stands in a query or in a part of a form: a list with commas between its items."""
    return {"style": "form", "explode": False} if schema.get("type") == "array" else {}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _settings(route: Route) -> dict[str, Schema]:
    """An upload's settings, dotted where they lie deeper."""
    found: dict[str, Schema] = {}
    settings = route.method.request.fields_by_name["settings"].message_type
    for field in settings.fields if settings is not None else ():
        if field.name in route.unsettable_settings:
            continue
        if field.message_type is not None and field.message_type.full_name != TIMESTAMP:
            found |= {f"{field.name}.{below.name}": value_of(below, {}) for below in field.message_type.fields}
        else:
            found[field.name] = value_of(field, {})
    return found


def _request_body(route: Route, schemas: dict[str, Schema]) -> dict[str, Any] | None:
    if route.kind is Kind.UPLOAD:
        file = {"type": "string", "contentMediaType": "text/csv"}
        settings = _settings(route)
        form = {"type": "object", "required": ["file"], "properties": {**settings, "file": file}}
        encoding = {name: _written(schema) for name, schema in settings.items() if _written(schema)}
        description = "The file, with its settings in the query; or a form with the settings before the part `file`."
        content = {"text/csv": {"schema": {"type": "string"}}, "multipart/form-data": {"schema": form, "encoding": encoding}}
        return {"required": True, "description": description, "content": content}
    if route.verb not in ("POST", "PUT"):
        return None
    if route.raw:
        return {"required": True, "content": {kind: {"schema": {"type": "string"}} for kind in MAIL_TYPES}}
    schema = object_of(route.method.request, schemas, route.unsettable, taken=True)
    if not schema["properties"]:
        return None
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses(route: Route, schemas: dict[str, Schema]) -> dict[str, Any]:
    problem = {"description": "A problem", "content": {"application/problem+json": {"schema": ref("Problem")}}}
    good: dict[str, Any] = {"description": "Done"}
    if route.kind is Kind.DOWNLOAD:
        good["content"] = {route.media_type.partition(";")[0]: {"schema": {"type": "string"}}}
    elif route.method.response.full_name != EMPTY:
        schema = RECEIPT if route.document else answered(route.method.response, schemas)
        if route.reveals:
            shown: Schema = {name: {"type": "string"} for name in sorted(route.reveals)}
            for name in route.forgets:
                shown[name] = {"type": "string", "description": "Shown this once."}
            schema = {"allOf": [schema, {"type": "object", "properties": shown}]}
        good["content"] = {"application/json": {"schema": schema}}
        if not route.forgets:
            good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    answers = {str(route.status): good}
    if route.upsert:
        answers["200"] = {**good, "description": "The thing was there before, and has changed"}
    if route.verb == "GET" and route.kind is Kind.JSON:
        answers["304"] = {"description": "Nothing has changed since the ETag in If-None-Match"}
    return {**dict(sorted(answers.items())), "default": problem}


def _opt_out(schemas: dict[str, Schema]) -> dict[str, Any]:
    receipt = answered(method("consent.WithdrawByToken").response, schemas)
    form: Schema = {"type": "object", "properties": {"List-Unsubscribe": {"const": "One-Click"}}}
    token = [{"name": "token", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 600}}]
    page: Schema = {"text/html": {"schema": {"type": "string"}}}
    said_on_a_page = {"description": "A page that says what is wrong", "content": page}
    problem = {
        "description": "A problem, or a page that says so",
        "content": {"application/problem+json": {"schema": ref("Problem")}, **page},
    }
    return {
        "parameters": token,
        "get": {
            "operationId": "OptOutPage", "summary": "The page behind an unsubscribe link; changes nothing", "tags": ["opt-out"],
            "responses": {"200": {"description": "The page", "content": page}, "default": said_on_a_page},
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
                    "content": {"application/json": {"schema": receipt}, **page},
                },
                "default": problem,
            },
        },
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document("https://mail.example"), indent=1, ensure_ascii=False) + "\n")
