"""Our own requests to S3: what arrives is what botocore signed, tried again where S3 is busy, refusals in S3's own words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from postlaw_common.blobs import s3_requests
from postlaw_common.blobs.s3_requests import S3Requests


class Kept:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get_frozen_credentials(self) -> Any:
        return self._credentials.get_frozen_credentials()


KEYS = Credentials("AKIDEXAMPLE", "a-secret", "a-session's-token")


class Server:
    """Answers with what the test put into `answers`, then with 200. `signed`: by request, whether its signature holds for what came."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.received: list[web.BaseRequest] = []
        self.signed: list[bool] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        self.received.append(request)
        self.signed.append(self._signed(request, body))
        return self.answers.pop(0) if self.answers else web.Response(body=body)

    def _signed(self, request: web.BaseRequest, body: bytes) -> bool:
        given = request.headers["Authorization"]
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
        auth = S3SigV4Auth(KEYS, "s3", "eu-central-1")
        theirs = AWSRequest(
            request.method, f"http://{request.host}{request.raw_path}", {name: request.headers[name] for name in names}, body
        )
        assert request.headers["x-amz-content-sha256"] == auth.payload(theirs)
        theirs.context["timestamp"] = request.headers["x-amz-date"]
        signature = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
        return given.endswith(f"Signature={signature}")


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[S3Requests, Server]]:
    monkeypatch.setattr(s3_requests, "RETRY_AFTER_S", 0.0)
    server = Server()
    runner = web.ServerRunner(web.Server(server.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    requests = S3Requests(f"http://127.0.0.1:{port}", "eu-central-1", Kept(KEYS), connections=2)
    yield requests, server
    await requests.close()
    await runner.cleanup()


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*", "x-amz-object-lock-mode": "COMPLIANCE"}])
async def test_what_arrives_is_what_was_signed(s3: tuple[S3Requests, Server], headers: dict[str, str]) -> None:
    requests, server = s3
    await requests.send("PUT", "/bucket/audit/tile/0/x001/234.p/17", b"bytes", headers)
    await requests.send("GET", "/bucket/audit/checkpoint")
    await requests.send("HEAD", "/bucket/audit/checkpoint")
    await requests.send("DELETE", "/bucket/audit/checkpoint?versionId=a%2Bb%2Fc%3D")
    assert server.signed == [True] * 4
    assert server.received[3].raw_path == "/bucket/audit/checkpoint?versionId=a%2Bb%2Fc%3D"
    put = server.received[0].headers
    signed = put["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {*headers, "x-amz-checksum-crc32", "x-amz-security-token"} <= set(signed)
    assert put["x-amz-checksum-crc32"] == "sZlDzg=="


async def test_a_busy_server_is_asked_again(s3: tuple[S3Requests, Server]) -> None:
    requests, server = s3
    server.answers += [web.Response(status=503), web.Response(status=409)]
    answer = await requests.send("PUT", "/bucket/key", b"bytes")
    assert (answer.status, answer.body) == (200, b"bytes")


async def test_a_server_that_stays_busy_is_believed_at_last(s3: tuple[S3Requests, Server]) -> None:
    requests, server = s3
    server.answers += [web.Response(status=503) for _ in range(3)]
    assert (await requests.send("GET", "/bucket/key")).status == 503


async def test_a_refusal_comes_back_in_the_servers_words(s3: tuple[S3Requests, Server]) -> None:
    requests, server = s3
    server.answers.append(
        web.Response(status=403, body=b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    )
    answer = await requests.send("GET", "/bucket/key")
    assert (answer.status, answer.code, answer.message) == (403, "AccessDenied", "no")
