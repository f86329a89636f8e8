"""`/v1/audit/log/…` serves the audit log's files as C2SP tlog-tiles has them, to whoever asks: `checkpoint`, `tile/0/x001/234`.

A full tile is the same for good; a checkpoint is another one within a second. Which files are open to everyone, audit says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from google.protobuf.message import Message

from postlaw_common.caller import acting_as
from postlaw_common.errors import PostlawError
from postlaw_gateway.answers import HSTS, Headers, problem
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.rest import BrokenOff
from postlaw_gateway.wire import log_file_bytes, log_file_request

LOG_FILES: Final = "/v1/audit/log/"
_GET = method("audit.GetLogFile")
_WITHIN_S: Final = 120.0
_TILE: Final = "tile/"


class LogFiles:
    """The ASGI application below that path: GET and HEAD alone."""

    def __init__(self, calls: Calls, *, https: bool) -> None:
        self._calls = calls
        self._headers: Headers = [(b"x-content-type-options", b"nosniff"), *([HSTS] if https else [])]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[ROUTE] = LOG_FILES + "{path}"
        if scope["method"] not in ("GET", "HEAD"):
            answer = problem(PostlawError("Only GET and HEAD are answered here.", type="method-not-allowed"))
            answer.status = 405
            answer.headers += [(b"allow", b"GET, HEAD"), *self._headers]
            await answer.send(send, scope["method"])
            return
        path = scope["path"].removeprefix(LOG_FILES)
        with acting_as(None):
            pieces = self._calls.responses(_GET, log_file_request(path), timeout=_WITHIN_S)
            try:
                # Drawn before the status is sent, so that a file that is not there is a 404.
                first = await anext(pieces, None)
            except PostlawError as refused:
                answer = problem(refused)
                answer.headers += [(b"cache-control", b"no-store"), *self._headers]
                await answer.send(send, scope["method"])
                return
            await send({"type": "http.response.start", "status": 200, "headers": [*headers_of(path), *self._headers]})
            if scope["method"] != "HEAD":
                await _carry(first, pieces, send)
            await send({"type": "http.response.body", "body": b""})


def headers_of(path: str) -> Headers:
    """What kind of bytes a file of the log is, and for how long whoever has it may keep it."""
    if not path.startswith(_TILE):
        return [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-cache")]
    kept = b"public, max-age=60" if ".p/" in path else b"public, max-age=31536000, immutable"
    return [(b"content-type", b"application/octet-stream"), (b"cache-control", kept)]


async def _carry(first: Message | None, pieces: AsyncIterator[Message], send: Any) -> None:
    try:
        if first is not None:
            await send({"type": "http.response.body", "body": log_file_bytes(first), "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": log_file_bytes(piece), "more_body": True})
    except PostlawError as broken:
        raise BrokenOff(broken.detail) from None
