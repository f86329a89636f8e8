"""Whole objects to and from S3 by one request each, signed by botocore and sent over a pool of kept connections.

botocore's client spends 4 ms of processor time on a put (it resolves the endpoint, emits some thirty hooks, builds and parses by its
model of the service); this spends 0.6. The audit log puts two objects for every 256 entries, so all else goes through botocore.
"""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from yarl import URL

TRIES = 3
RETRY_AFTER_S = 0.2
BUSY = {409, 429, 500, 502, 503, 504}  # 409: another conditional put of this key is under way
_FIELD = re.compile(rb"<(Code|Message)>([^<]*)</")


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by name in lower case. `code` and `message`: S3's own, where it refused."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    code: str = ""
    message: str = ""


class S3Requests:
    """`credentials` is botocore's own object, which renews what it holds."""

    def __init__(self, endpoint: str, region: str, credentials: Any, *, connections: int) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._host = urlsplit(endpoint).netloc
        self._region = region
        self._credentials = credentials
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=20),
            auto_decompress=False,
        )

    async def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """The answer, whatever it says. `path` begins with the bucket; it and a query behind it are escaped where they must be.

        What an outage may have stopped is tried again, so a put may happen twice. Raises aiohttp.ClientError, OSError, TimeoutError."""
        given = {"host": self._host, **(headers or {})}
        if method == "PUT":
            given["x-amz-checksum-crc32"] = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()  # Object Lock wants one
        for tried in range(1, TRIES + 1):
            try:
                answer = await self._send(method, path, body, given)
                if answer.status not in BUSY or tried == TRIES:
                    return answer
            except (aiohttp.ClientConnectionError, TimeoutError, OSError):
                if tried == TRIES:
                    raise
            await asyncio.sleep(RETRY_AFTER_S * tried)
        raise AssertionError("the last try returns or raises")

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        url = self._endpoint + path
        request = AWSRequest(method, url, headers, data=body)
        S3SigV4Auth(await self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        exactly = URL(url, encoded=True)  # escaped otherwise, however rightly, it is not what was signed
        async with self._session.request(method, exactly, data=body or None, headers=dict(request.headers.items())) as response:
            content = await response.read()
            code, message = _error(content) if response.status >= 300 else ("", "")
            answered = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, content, answered, code or str(response.status), message)

    async def close(self) -> None:
        await self._session.close()


def _error(content: bytes) -> tuple[str, str]:
    """(code, message) of S3's error document, a flat one; empty where there is none."""
    found = {name: value.decode(errors="replace") for name, value in _FIELD.findall(content)}
    return found.get(b"Code", ""), found.get(b"Message", "")
