"""What goes back: an answer as bytes, problems (RFC 9457), entity tags (RFC 9110 §8.8), and the headers that every answer has."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from postlaw_common.errors import Invalid, PostlawError, VersionMismatch
from postlaw_common.ids import new_id
from postlaw_common.problems import MEDIA_TYPE
from postlaw_common.problems import headers as headers_of
from postlaw_common.problems import problem as problem_of
from postlaw_gateway.json_out import encode

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
PROBLEM_JSON = MEDIA_TYPE.encode()
HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_VERSIONED = re.compile(r"(\d{1,18})-[0-9a-f]{16}")


@dataclass(slots=True)
class Answer:
    """A whole answer. `headers` without content-length."""

    status: int
    headers: Headers
    body: bytes = b""

    async def send(self, send: Any, verb: str = "") -> None:
        headers = self.headers if self.status == 204 else [*self.headers, (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if verb == "HEAD" else self.body})


def problem_body(error: PostlawError) -> bytes:
    """problem+json."""
    return encode(problem_of(error))


def problem(error: PostlawError) -> Answer:
    headers = [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
    return Answer(error.status, headers, problem_body(error))


def entity_tag(body: bytes, version: int | None) -> str:
    """Strong: alike only for bodies alike to the byte. The version stands in front, so that If-Match can hold a write to it; the
    hash stands behind, because a thing's totals may change without its version."""
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    return f'"{digest}"' if version is None else f'"{version}-{digest}"'


def not_modified(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison (RFC 9110 §13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or any(f'"{value}"' == tag for _, value in _TAG.findall(if_none_match))


def version_of(if_match: str | None) -> int:
    """The version that If-Match holds a write to; 0 for none, or `*`. Raises VersionMismatch for a tag that was never ours."""
    if if_match is None or if_match.strip() == "*":
        return 0
    found = _TAG.findall(if_match)
    if not found:
        raise Invalid('If-Match must be an entity tag in quotes, as it came in the ETag header, such as "3-0123456789abcdef".')
    if len(found) > 1:
        raise Invalid("If-Match must name one entity tag.")
    weak, value = found[0]
    versioned = _VERSIONED.fullmatch(value)
    if weak or versioned is None or not int(versioned[1]):
        raise VersionMismatch("If-Match names no version of this. Read it again, and use the ETag that comes with it.")
    return int(versioned[1])


class EveryAnswer:
    """ASGI around all of REST: a request id, the security headers, and no storing unless an answer says otherwise. No CORS."""

    def __init__(self, app: Any, *, https: bool) -> None:
        self._app = app
        self._headers: Headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        if https:
            self._headers.append(HSTS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request_id = scope["request_id"] = new_id("req")

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode()), *self._headers]
                names = {name for name, _ in headers}
                if b"cache-control" not in names:
                    headers.append((b"cache-control", b"no-store"))
                if b"content-security-policy" not in names:
                    headers.append((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"))
            await send(message)

        await self._app(scope, receive, send_with_headers)
