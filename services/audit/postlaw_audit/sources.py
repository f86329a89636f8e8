"""Where a log lies that is to be checked: in an installation's bucket, in a folder, or behind a URL. Each is read by tlog-tiles' paths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from postlaw_audit.domain.tiles import WIDTH, cut, tile_path
from postlaw_common.blobs import Blobs, open_blobs
from postlaw_common.http_client import httpx

PREFIX = "audit/"  # of the log among an installation's blobs
CHECKPOINT, WITNESSED, VERIFIER_KEY = "checkpoint", "witnessed", "log.vkey"
_TIMEOUT_S = 30.0


class LogUnreadable(Exception):
    """The log cannot be read now, or not by us. The message says where."""


def key_text(key: str | None) -> str | None:
    """What was given, or what the file of that name holds."""
    return (Path(key).read_text() if Path(key).is_file() else key) if key else None


class LogFiles(Protocol):
    """The objects of one log, by their paths in it: `checkpoint`, `tile/0/000`."""

    async def get(self, path: str) -> bytes | None: ...


async def tile(files: LogFiles, level: int, number: int, width: int) -> bytes | None:
    """A tile or bundle (level −1) of this width; out of the full one where that has replaced it. ValueError where that is cut short."""
    data = await files.get(tile_path(level, number, width))
    if data is None and width < WIDTH and (full := await files.get(tile_path(level, number))) is not None:
        return cut(full, level, width)
    return data


class BlobFiles:
    """In an installation's blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, path: str) -> bytes | None:
        return await self._blobs.get(PREFIX + path)


class FolderFiles:
    """In a folder: a copy, or the embedded blobs themselves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, path: str) -> bytes | None:
        try:
            return await asyncio.to_thread((self._folder / path).read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None


class HttpFiles:
    """Below a URL, as the gateway and other logs serve them."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url, self._client = url.rstrip("/"), client

    async def get(self, path: str) -> bytes | None:
        try:
            answer = await self._client.get(f"{self._url}/{path}")
        except httpx.HTTPError as away:
            raise LogUnreadable(f"{self._url}/{path}: {away or type(away).__name__}") from away
        if answer.status_code in (404, 410):
            return None
        if answer.status_code != 200:
            raise LogUnreadable(f"{self._url}/{path} is answered with {answer.status_code}")
        return answer.content


async def verifier_key(files: LogFiles, at: str, given: str | None) -> str:
    """What was given; else what lies beside the log, which shows only that the log agrees with itself. Raises LogUnreadable."""
    if given is not None:
        return given
    lies_there = await files.get(VERIFIER_KEY)
    if lies_there is None:
        raise LogUnreadable(f"{at} has no {VERIFIER_KEY}; give --key")
    return lies_there.decode(errors="replace")


@asynccontextmanager
async def opened(where: str, state: str) -> AsyncGenerator[LogFiles]:
    """The log at a folder, at `s3://bucket/prefix?endpoint=…` or `file:` (an installation's POSTLAW_BLOBS), or at an http(s) URL."""
    if where.startswith(("http://", "https://")):
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=True) as client:
            yield HttpFiles(where, client)
    elif where.startswith(("s3:", "file:")):
        blobs = open_blobs(where, state=state)
        await blobs.start()
        try:
            yield BlobFiles(blobs)
        finally:
            await blobs.close()
    else:
        yield FolderFiles(Path(where))
