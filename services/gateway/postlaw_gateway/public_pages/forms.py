"""The body of a POST: what RFC 8058 §3.2 lets a mailbox provider send, and what our own pages send. At most 8 kB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import python_multipart
from python_multipart.exceptions import FormParserError

from postlaw_common.errors import PostlawError

MAX_BODY = 8192
_ONE_CLICK = b"List-Unsubscribe=One-Click"
_ONE_CLICK_FIELDS = {"list-unsubscribe": "One-Click"}
_URLENCODED = b"application/x-www-form-urlencoded"


_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\".*\"@[^@\s]+\.[^@\s]+")
_LONGEST_ADDRESS = 320


class UnreadableForm(PostlawError):
    """The request is no form of ours. Its status says why: 400, 405, 413 or 415."""

    type, title, status = "invalid-request", "The request is not valid", 400

    def __init__(self, detail: str, *, status: int = 400, type: str = "invalid-request") -> None:
        super().__init__(detail, type=type)
        self.status = status


async def read_body(receive: Any, content_length: bytes | None) -> bytes:
    """The whole body. Raises UnreadableForm beyond 8 kB, announced or not."""
    if content_length is not None and content_length.isdigit() and int(content_length) > MAX_BODY:
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        if len(body) > MAX_BODY:
            raise _too_large()
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise UnreadableForm("The request ended before its body did.")
    if len(body) > MAX_BODY:
        raise _too_large()
    return body


def _too_large() -> UnreadableForm:
    return UnreadableForm("The body has at most 8 kB.", status=413, type="too-large")


def read_fields(content_type: bytes, body: bytes) -> Mapping[str, str]:
    """A form's fields, their names in lower case. A missing content type is taken as the usual one: some senders of one-click leave it
    out, and a person's stop should not fail over it. Raises UnreadableForm."""
    kind = content_type.partition(b";")[0].strip().lower() or _URLENCODED
    if kind == _URLENCODED:
        return _ONE_CLICK_FIELDS if body.rstrip() == _ONE_CLICK else _urlencoded(body)
    if kind == b"multipart/form-data":
        return _multipart(content_type, body)
    raise UnreadableForm(
        "Send List-Unsubscribe=One-Click as application/x-www-form-urlencoded or multipart/form-data (RFC 8058).",
        status=415,
        type="unsupported-media-type",
    )


def is_address(text: str) -> bool:
    """Whether it looks like one: subscribers judges it in full."""
    return len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None


def is_one_click(fields: Mapping[str, str]) -> bool:
    return fields.get("list-unsubscribe", "").strip().lower() == "one-click"


def _urlencoded(body: bytes) -> dict[str, str]:
    try:
        return {name.lower(): value for name, value in parse_qsl(body.decode("ascii"), max_num_fields=64)}
    except ValueError:
        raise UnreadableForm("The body is not a form.") from None


def _multipart(content_type: bytes, body: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}

    def on_field(field: Any) -> None:
        if field.field_name is not None:
            fields[_text(field.field_name).lower()] = _text(field.value or b"")

    def on_file(_: Any) -> None:
        return None

    headers = {"Content-Type": content_type}
    try:
        parser = python_multipart.create_form_parser(headers, on_field, on_file)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise UnreadableForm("The body is not a form.") from None
    return fields


def _text(value: bytes) -> str:
    """As browsers write it (RFC 7578 §5.1.2). What is no UTF-8 must not stop a stop, and as a part of an address makes none."""
    return value.decode(errors="replace")
