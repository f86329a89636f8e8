"""A request in HTTP's words → the contract's message: path, then query or body, then what the gateway itself sets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from postlaw_common.errors import FieldError, Invalid, NotFound, PostlawError, TooLarge
from postlaw_gateway.answers import version_of
from postlaw_gateway.json_in import fill, parse_object, refuse
from postlaw_gateway.routes import Route
from postlaw_gateway.values_in import WrongValue, scalar

MAX_JSON = 1024 * 1024
MAX_MAIL = 64 << 20
KEPT_OF_MAIL = 6 << 20  # more than any mail has that was sent from here: of one that is larger, the rest is not looked at
MAIL_TYPES: Final = ("message/rfc822", "text/rfc822-headers")
_JSON_TYPES: Final = ("application/json",)
_MAX_QUERY_FIELDS = 50
_LONGEST_ID = 100


class UnsupportedMediaType(PostlawError):
    type, title, status = "unsupported-media-type", "The body is of a type that is not taken here", 415


class Disconnected(Exception):
    """The client went away before its request had come whole: nobody is there to be answered."""


def header(scope: Any, name: bytes) -> str | None:
    for found, value in scope["headers"]:
        if found == name:
            return value.decode("latin-1")
    return None


async def body_pieces(receive: Any) -> AsyncGenerator[bytes]:
    """Raises Disconnected where the client is gone before its end."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


async def read_body(route: Route, scope: Any, receive: Any) -> bytes:
    """JSON, at most 1 MiB, announced or not; or, where the route takes it as it stands, a mail. Raises TooLarge, UnsupportedMediaType,
    Disconnected."""
    kinds, most, kept = (MAIL_TYPES, MAX_MAIL, KEPT_OF_MAIL) if route.raw else (_JSON_TYPES, MAX_JSON, MAX_JSON)
    announced = header(scope, b"content-length") or ""
    if announced.isdigit() and int(announced) > most:
        raise _too_large(route)
    parts: list[bytes] = []
    size = 0
    async for part in body_pieces(receive):
        if size < kept:
            parts.append(part)
        size += len(part)
        if size > most:
            raise _too_large(route)
    kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if size and kind not in kinds:
        raise UnsupportedMediaType(f"Send the body as {' or '.join(kinds)}.")
    return b"".join(parts)[:kept]


def _too_large(route: Route) -> TooLarge:
    if route.raw:
        return TooLarge("A mail has at most 64 MiB here. Its header alone will do.")
    return TooLarge("A JSON body has at most 1 MiB. People by the thousand come in through POST /v1/imports.")


def build(route: Route, scope: Any, body: bytes, deed: str = "") -> Message:
    """The request. Raises Invalid with every wrong field, VersionMismatch for a stale or strange If-Match."""
    request = route.method.new_request()
    if route.raw:
        refuse_query(scope)
        setattr(request, route.raw, body)
    elif route.verb in ("POST", "PUT"):
        refuse_query(scope)
        fill(request, parse_object(body) if body else {}, hidden=route.unsettable)
    elif body:
        raise Invalid(f"{route.verb} takes no body here.")
    else:
        fill(request, _query_fields(request, query_of(scope)), hidden=route.unsettable)
    fields = cast("Mapping[str, FieldDescriptor]", request.DESCRIPTOR.fields_by_name)
    for name, value in scope["path_params"].items():
        if not (len(value) <= _LONGEST_ID and value.isascii() and value.isprintable()):
            raise NotFound("There is no such thing.")
        try:
            setattr(request, name, scalar(fields[name], value))
        except WrongValue:
            raise NotFound("There is no such thing.") from None
    for place, value_name in route.fixed.items():
        _put(request, place, lambda holder, name, chosen=value_name: _enum_number(holder, name, chosen))
    name_deed(route, request, deed)
    if route.has_version:
        _put(request, "if_version", lambda _holder, _name: version_of(header(scope, b"if-match")))
    return request


def name_deed(route: Route, request: Message, deed: str) -> None:
    """Tells the service which deed this is, each item of a batch by itself. An empty `deed`: the caller gave no key."""
    if route.key_field and deed:
        numbers = iter(range(1_000_000))
        _put(request, route.key_field, lambda _holder, _name: f"{deed}/{next(numbers)}")


def query_of(scope: Any) -> list[tuple[str, str]]:
    """Names and values. Raises Invalid where it is not UTF-8, or a name comes twice."""
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="strict")
    except ValueError:
        raise Invalid(f"The query is not valid: UTF-8, percent-encoded, at most {_MAX_QUERY_FIELDS} fields.") from None
    names = [name for name, _ in pairs]
    refuse([FieldError(name[:64], "comes twice in the query") for name in sorted({name for name in names if names.count(name) > 1})])
    return pairs


def refuse_query(scope: Any) -> None:
    """On POST and PUT everything stands in the body."""
    refuse([FieldError(name[:64], "belongs into the body") for name, _ in query_of(scope)])


def _query_fields(request: Message, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Query values are text; those of boolean fields become booleans, the rest `fill` reads from text."""
    fields = request.DESCRIPTOR.fields_by_name
    boolean = {"true": True, "false": False}
    found: dict[str, Any] = {}
    for name, value in pairs:
        field = fields.get(name)
        is_bool = field is not None and field.type == field.TYPE_BOOL
        found[name] = boolean.get(value, value) if is_bool else value
    return found


def _enum_number(holder: Message, name: str, value_name: str) -> int:
    enum = holder.DESCRIPTOR.fields_by_name[name].enum_type
    if enum is None:
        raise TypeError(f"{name} is not an enum field")
    return enum.values_by_name[value_name].number


def _put(message: Message, place: str, value: Any) -> None:
    """Sets a dotted field, in every item where it leads through a repeated one."""
    first, _, rest = place.partition(".")
    if not rest:
        setattr(message, first, value(message, first))
    elif message.DESCRIPTOR.fields_by_name[first].is_repeated:
        for item in getattr(message, first):
            _put(item, rest, value)
    else:
        _put(getattr(message, first), rest, value)
