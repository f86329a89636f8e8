"""Files out: a stream of chunks from the service to the client, never whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message

from postlaw_common.caller import Caller
from postlaw_common.errors import PostlawError
from postlaw_common.rpc.validate import validate
from postlaw_gateway.answers import Answer, Headers
from postlaw_gateway.requests import build, read_body
from postlaw_gateway.rest import BrokenOff, Endpoint
from postlaw_gateway.wire import file_bytes

_DEADLINE_S = 3600.0


class Download(Endpoint):
    """A file of any length."""

    async def answer(self, scope: Any, receive: Any, send: Any, caller: Caller | None) -> Answer | None:
        request = scope["asked"] = build(self.route, scope, await read_body(self.route, scope, receive))
        validate(request)
        chunks = self.parts.calls.responses(self.method, request, timeout=_DEADLINE_S)
        # Drawn before the status is sent, so that an import that is not there is still a 404.
        first = await anext(chunks, None)
        if self.route.personal:
            await self.parts.access.reads(self.route.rpc, self.route.path, request, first)
        headers: Headers = [
            (b"content-type", self.route.media_type.encode()),
            (b"content-disposition", f'attachment; filename="{self.route.filename}"'.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] != "HEAD":
            await _carry(first, chunks, send)
        await send({"type": "http.response.body", "body": b""})
        return None


async def _carry(first: Message | None, chunks: AsyncIterator[Message], send: Any) -> None:
    try:
        if first is not None:
            await send({"type": "http.response.body", "body": file_bytes(first), "more_body": True})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": file_bytes(chunk), "more_body": True})
    except PostlawError as broken:
        # The status is out: ending the connection without the last chunk is all that tells the client that rows are missing.
        raise BrokenOff(broken.detail) from None
