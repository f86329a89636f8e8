"""Whole objects to and from S3 by one request each, signed here (AWS Signature Version 4) and sent over a pool of kept connections.

botocore spends 4 ms of processor time on a put (it resolves the endpoint, emits some thirty hooks, builds and parses by its model of
the service); this spends 0.5. The audit log puts two objects for every 256 entries, so all else goes through botocore.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

TRIES = 3
RETRY_AFTER_S = 0.2
BUSY = {409, 429, 500, 502, 503, 504}  # 409: another conditional put of this key is under way
_FIELD = re.compile(rb"<(Code|Message)>([^<]*)</")


class Credentials(Protocol):
    """What botocore calls frozen credentials."""

    access_key: str
    secret_key: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` and `message`: S3's own, where it refused."""

    status: int
    body: bytes
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
        """The answer, whatever it says. `path` begins with the bucket and needs no escaping; `headers` in lower case.

        What an outage may have stopped is tried again, so a put may happen twice. Raises aiohttp.ClientError, OSError, TimeoutError."""
        digest = hashlib.sha256(body).digest()
        given = dict(headers or {})
        if method == "PUT":
            given["x-amz-checksum-sha256"] = base64.b64encode(digest).decode()  # Object Lock wants one
        for tried in range(1, TRIES + 1):
            try:
                answer = await self._send(method, path, body, given, digest.hex())
                if answer.status not in BUSY or tried == TRIES:
                    return answer
            except (aiohttp.ClientConnectionError, TimeoutError, OSError):
                if tried == TRIES:
                    raise
            await asyncio.sleep(RETRY_AFTER_S * tried)
        raise AssertionError("the last try returns or raises")

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], digest: str) -> Answer:
        credentials = await self._credentials.get_frozen_credentials()
        signed = signed_headers(method, self._host, path, headers, digest, credentials, self._region, datetime.now(UTC))
        async with self._session.request(method, self._endpoint + path, data=body or None, headers=signed) as response:
            content = await response.read()
            code, message = _error(content) if response.status >= 300 else ("", "")
            return Answer(response.status, content, code or str(response.status), message)

    async def close(self) -> None:
        await self._session.close()


def signed_headers(
    method: str, host: str, path: str, headers: Mapping[str, str], digest: str, credentials: Credentials, region: str, now: datetime
) -> dict[str, str]:
    """`headers` with all that Signature Version 4 adds. `digest`: the body's SHA-256 in hexadecimal."""
    at = now.strftime("%Y%m%dT%H%M%SZ")
    added = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": at}
    if credentials.token:
        added["x-amz-security-token"] = credentials.token
    signed = dict(sorted({**headers, **added}.items()))
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}".encode()).hexdigest()
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    key = b"AWS4" + credentials.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{request}".encode(), "sha256").hex()
    signed["authorization"] = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return signed


def _error(content: bytes) -> tuple[str, str]:
    """(code, message) of S3's error document, a flat one; empty where there is none."""
    found = {name: value.decode(errors="replace") for name, value in _FIELD.findall(content)}
    return found.get(b"Code", ""), found.get(b"Message", "")
