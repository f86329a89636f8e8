"""CSV in: `text/csv` with its settings in the query, or multipart/form-data with the settings before the file.

Bytes go on to the import as they come, in constant memory: the service takes them as fast as it can write them down, and the
client's connection waits meanwhile. A client that goes away in the middle ends the upload, and nothing is imported.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from postlaw_common.caller import Caller
from postlaw_common.errors import Conflict, FieldError, Invalid
from postlaw_common.rpc.calls import LONGEST_S
from postlaw_common.rpc.validate import validate
from postlaw_common.store import StoreUnavailable, VersionConflict
from postlaw_gateway.answers import Answer
from postlaw_gateway.csv_parts import CsvParts, lists_of, settings_object
from postlaw_gateway.idempotency import Claim
from postlaw_gateway.json_in import fill
from postlaw_gateway.requests import UnsupportedMediaType, body_pieces, header, name_deed, query_of
from postlaw_gateway.rest import Endpoint
from postlaw_gateway.wire import import_chunk_part, import_settings_part, names_where_people_go

_CHUNK = 256 * 1024
_RENEW_S = 20.0


class Upload(Endpoint):
    """POST /v1/imports."""

    async def answer(self, scope: Any, receive: Any, send: Any, caller: Caller | None) -> Answer | None:
        body = body_pieces(receive)
        kind = header(scope, b"content-type") or ""
        media = kind.partition(";")[0].strip().lower()
        if media == "text/csv":
            pairs, pieces = query_of(scope), body
            charset = _charset(kind)
            if charset and not any(name == "encoding" for name, _ in pairs):
                pairs.append(("encoding", charset))
        elif media == "multipart/form-data":
            parts = CsvParts(kind, body)
            pairs, pieces = [*query_of(scope), *await parts.settings()], parts.file()
        else:
            raise UnsupportedMediaType("Send the file as text/csv, or as multipart/form-data with a part named file.")
        first = scope["asked"] = _settings_part(pairs, self.route.unsettable_settings)
        key = header(scope, b"idempotency-key")
        if key is None or caller is None:
            return await self._carried(scope, first, pieces)
        settings = first.SerializeToString(deterministic=True)
        claim = await self.parts.idempotency.claim(caller, self.place, key, scope["path"].encode(), settings)
        name_deed(self.route, first, claim.deed)
        if claim.stored:
            async for piece in pieces:
                claim.fingerprint.feed(piece)
            return await self.parts.idempotency.replay(caller, claim)
        return await self.once(caller, claim, self._carried(scope, first, self._noted(claim, pieces)))

    async def _carried(self, scope: Any, first: Message, pieces: AsyncIterator[bytes]) -> Answer:
        # What goes wrong while the body is drawn (a client gone, a broken part) is raised in here and cancels the call: it must
        # not look like the file's regular end, else half a file would be imported.
        return self.made(scope, await self.parts.calls.upload(self.method, _messages(first, pieces), timeout=LONGEST_S))

    async def _noted(self, claim: Claim, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Feeds the fingerprint, and keeps the claim ours however long the upload takes."""
        renewed = time.monotonic()
        async for piece in pieces:
            claim.fingerprint.feed(piece)
            if time.monotonic() - renewed > _RENEW_S:
                try:
                    await self.parts.idempotency.renew(claim)
                except VersionConflict:
                    raise Conflict("Another request took over this Idempotency-Key.", type="idempotency-key-under-way") from None
                except StoreUnavailable:
                    pass  # tried again with the next piece; the lease has time left
                else:
                    renewed = time.monotonic()
            yield piece


async def _messages(first: Message, pieces: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    yield first
    async for piece in pieces:
        for start in range(0, len(piece), _CHUNK):
            yield import_chunk_part(piece[start : start + _CHUNK])


def _settings_part(pairs: list[tuple[str, str]], hidden: frozenset[str]) -> Message:
    first, settings = import_settings_part()
    fill(settings, lists_of(cast("Descriptor", settings.DESCRIPTOR), settings_object(pairs)), hidden=hidden)
    validate(settings)
    if not names_where_people_go(settings):
        raise Invalid("list_id: is required", fields=[FieldError("list_id", "is required")])  # before the file is carried anywhere
    return first


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"')
    return ""
