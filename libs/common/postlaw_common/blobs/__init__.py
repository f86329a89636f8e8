"""Blobs: whole objects under a key, some of them under retention. `open_blobs` chooses the adapter by URL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime, timedelta
from typing import Protocol


class BlobsUnavailable(Exception):
    """The object store cannot be reached or did not answer in time; a write may have happened, or not."""


class BlobExists(Exception):
    """`put(…, if_absent=True)` found an object there already."""


class BlobRetained(Exception):
    """The object is under retention and cannot be removed or changed yet."""


KEY = re.compile(r"[A-Za-z0-9._\-]+(/[A-Za-z0-9._\-]+)*")


def check_key(key: str) -> None:
    """Raises ValueError for what is no key, so that every adapter refuses the same."""
    if not KEY.fullmatch(key) or any(part in (".", "..") for part in key.split("/")):
        raise ValueError(f"not a key for a blob: {key!r}")


class Blobs(Protocol):
    """Keys are relative paths of ASCII letters, digits, and `._-/`; an object's bytes appear whole or not at all."""

    async def start(self) -> None: ...

    async def put(self, key: str, data: bytes, *, retain_until: datetime | None = None, if_absent: bool = False) -> None:
        """Durable when it returns. Raises BlobExists, BlobRetained."""
        ...

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Stores a large object in constant memory; returns its size. Nothing appears if the stream raises."""
        ...

    async def get(self, key: str) -> bytes | None: ...

    def stream(self, key: str, *, start: int = 0, chunk_size: int = 1 << 18) -> AsyncIterator[bytes]:
        """The object's bytes from `start` on, in chunks. Raises KeyError where there is none."""
        ...

    async def size(self, key: str) -> int | None: ...

    async def delete(self, key: str) -> None:
        """Removes it if it is there. Raises BlobRetained."""
        ...

    async def default_retention(self) -> timedelta | None:
        """For how long the store itself keeps every new object, without `retain_until`; None: not at all."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys with that prefix, ascending."""
        ...

    async def close(self) -> None: ...


def open_blobs(url: str, *, state: str) -> Blobs:
    """The blobs that a URL means, not yet started: `file:` (below `state`) or `s3://bucket/prefix?endpoint=http://…`.

    S3 credentials come from the environment as every AWS client reads them."""
    if url.startswith("file:"):
        from postlaw_common.blobs.embedded import EmbeddedBlobs

        return EmbeddedBlobs(state)
    if url.startswith("s3://"):
        from postlaw_common.blobs.s3 import S3Blobs

        return S3Blobs(url)
    raise ValueError(f"POSTLAW_BLOBS is {url!r}; it must begin with 'file:' or 's3://'")
