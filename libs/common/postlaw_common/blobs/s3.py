"""Blobs on S3: by requests of our own for one whole object (s3_requests.py), by aioboto3 for streams and lists.

Retention is Object Lock in COMPLIANCE mode: nobody shortens it, not even the account's owner. `s3://bucket[/prefix][?endpoint=http://…&region=…]`;
the bucket must have Object Lock enabled. A version that is under retention refuses to be deleted, and `put` refuses to hide it under a
new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote, urlsplit

import aioboto3
import aiohttp
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postlaw_common.blobs import BlobExists, BlobRetained, BlobsUnavailable, check_key
from postlaw_common.blobs.s3_requests import Answer, S3Requests

PART = 8 << 20  # bytes of a multipart upload's part; S3 wants 5 MiB at least
MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchVersion"}
TAKEN = {"PreconditionFailed", "412"}
CONNECTIONS = 16


class S3Blobs:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        if unknown := options.keys() - {"endpoint", "region"}:
            raise ValueError(f"POSTLAW_BLOBS does not know {', '.join(sorted(unknown))}; it knows endpoint, region")
        if not parts.netloc:
            raise ValueError("POSTLAW_BLOBS names no bucket: s3://bucket[/prefix]?endpoint=…")
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        check_key(self._prefix + "x")
        self._endpoint = options.get("endpoint")
        self._region = options.get("region", "us-east-1")
        self._stack = AsyncExitStack()
        self._client: Any = None  # aioboto3 makes its clients at run time, without types
        self._requests: S3Requests | None = None

    async def start(self) -> None:
        """Raises BlobsUnavailable when the bucket does not answer or is not there."""
        config = Config(
            connect_timeout=3, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"}
        )
        session = aioboto3.Session()
        client: Any = session.client("s3", endpoint_url=self._endpoint, region_name=self._region, config=config)
        self._client = await self._stack.enter_async_context(client)
        credentials: Any = session.get_credentials()
        self._requests = S3Requests(self._client.meta.endpoint_url, self._region, await credentials, connections=CONNECTIONS)
        self._stack.push_async_callback(self._requests.close)
        try:
            with self._errors(self._bucket):
                await self._client.head_bucket(Bucket=self._bucket)
        except (BlobsUnavailable, KeyError) as error:
            await self.close()
            raise BlobsUnavailable(f"the bucket {self._bucket} cannot be used: {error}") from error

    def _object(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    async def put(self, key: str, data: bytes, *, retain_until: datetime | None = None, if_absent: bool = False) -> None:
        headers: dict[str, str] = {}
        if retain_until is not None:
            headers["x-amz-object-lock-mode"] = "COMPLIANCE"
            headers["x-amz-object-lock-retain-until-date"] = retain_until.astimezone(UTC).isoformat(timespec="seconds")
        if if_absent:
            headers["if-none-match"] = "*"
        else:
            # With versions a put never destroys what is retained, but it would hide it.
            await self._refuse_retained(key)
        await self._send("PUT", key, data, headers)

    async def _send(self, method: str, key: str, body: bytes = b"", headers: dict[str, str] | None = None, *, query: str = "") -> Answer:
        """`query` escaped, with its question mark. KeyError where there is no such object."""
        check_key(key)
        if self._requests is None:
            raise BlobsUnavailable(f"{key}: the connection to S3 is closed")
        with self._errors(key):
            answer = await self._requests.send(method, f"/{self._bucket}/{self._prefix}{key}{query}", body, headers)
            if answer.status >= 300:
                _raise_refused(key, answer.code, answer.message)
        return answer

    async def _refuse_retained(self, key: str) -> None:
        try:
            head = await self._send("HEAD", key)
        except KeyError:
            return
        until = head.headers.get("x-amz-object-lock-retain-until-date")
        if until is not None and datetime.fromisoformat(until) > datetime.now(UTC):
            raise BlobRetained(f"{key} is kept until {until}")

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        place = self._object(key)
        await self._refuse_retained(key)
        with self._errors(key):
            upload = {**place, "UploadId": (await self._client.create_multipart_upload(**place))["UploadId"]}
        try:
            size, parts = await self._send_parts(key, upload, chunks)
            with self._errors(key):
                await self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            await asyncio.shield(self._abort(key, upload))
            raise
        return size

    async def _abort(self, key: str, upload: dict[str, str]) -> None:
        try:
            with self._errors(key):
                await self._client.abort_multipart_upload(**upload)
        except (BlobsUnavailable, KeyError):
            return  # a lifecycle rule of the bucket sweeps what is left; the stream's own error is the one that counts

    async def _send_parts(self, key: str, upload: dict[str, str], chunks: AsyncIterable[bytes]) -> tuple[int, list[dict[str, Any]]]:
        parts: list[dict[str, Any]] = []
        size = 0
        waiting = bytearray()

        async def send() -> None:
            number = len(parts) + 1
            with self._errors(key):
                answer = await self._client.upload_part(**upload, PartNumber=number, Body=bytes(waiting))
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            waiting.clear()

        async for chunk in chunks:
            size += len(chunk)
            waiting += chunk
            if len(waiting) >= PART:
                await send()
        if waiting or not parts:
            await send()
        return size, parts

    async def get(self, key: str) -> bytes | None:
        try:
            return (await self._send("GET", key)).body
        except KeyError:
            return None

    async def stream(self, key: str, *, start: int = 0, chunk_size: int = 1 << 18) -> AsyncIterator[bytes]:
        size = await self.size(key)
        if size is None:
            raise KeyError(key)
        if start >= size:
            return  # S3 calls such a range an error
        with self._errors(key):
            answer = await self._client.get_object(**self._object(key), Range=f"bytes={start}-")
            async with answer["Body"]:
                while chunk := await answer["Body"].read(chunk_size):
                    yield chunk

    async def size(self, key: str) -> int | None:
        try:
            with self._errors(key):
                return (await self._client.head_object(**self._object(key)))["ContentLength"]
        except KeyError:
            return None

    async def delete(self, key: str) -> None:
        """Deletes every version: a delete marker alone would leave the bytes."""
        place = self._object(key)
        await self._refuse_retained(key)
        with self._errors(key):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=place["Key"])
            async for page in pages:
                for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                    if version["Key"] == place["Key"]:
                        await self._send("DELETE", key, query=f"?versionId={quote(version['VersionId'], safe='')}")

    async def default_retention(self) -> timedelta | None:
        try:
            with self._errors(self._bucket):
                found = await self._client.get_object_lock_configuration(Bucket=self._bucket)
        except KeyError:
            return None
        rule = found["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
        return timedelta(days=rule.get("Days") or 365 * rule.get("Years", 0)) or None

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            async for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self._prefix)

    async def close(self) -> None:
        await self._stack.aclose()
        self._client = self._requests = None

    @contextmanager
    def _errors(self, key: str) -> Generator[None, None, None]:
        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            _raise_refused(key, str(said.get("Code", "")), str(said.get("Message", "")), error)
        except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BlobsUnavailable(f"{key}: S3 does not answer ({type(error).__name__}: {error})") from error


def _raise_refused(key: str, code: str, message: str, error: ClientError | None = None) -> NoReturn:
    """What S3 refused, in the port's words."""
    if code in MISSING:
        raise KeyError(key) from error
    if code in TAKEN:
        raise BlobExists(key) from error
    if (code == "AccessDenied" and "lock" in message.lower()) or code in ("ObjectLocked", "InvalidRetentionPeriod"):
        raise BlobRetained(f"{key} is under retention") from error
    raise BlobsUnavailable(f"{key}: S3 refused ({code}: {message})") from error
