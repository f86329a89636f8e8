"""Our own requests to S3: signed as botocore signs them, tried again where S3 is busy, refusals in S3's own words."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from postlaw_common.blobs import s3_requests
from postlaw_common.blobs.s3_requests import S3Requests, signed_headers


class Kept:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get_frozen_credentials(self) -> Any:
        return self._credentials.get_frozen_credentials()


KEYS = Credentials("AKIDEXAMPLE", "a-secret", "a-session's-token")


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*", "x-amz-object-lock-mode": "COMPLIANCE"}])
def test_a_request_is_signed_as_botocore_signs_it(headers: dict[str, str]) -> None:
    path, body = "/bucket/audit/tile/0/x001/234.p/17", b"bytes"
    theirs = AWSRequest("PUT", f"http://s3.example:7070{path}", headers=headers, data=body)
    S3SigV4Auth(KEYS, "s3", "eu-central-1").add_auth(theirs)
    at = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed_headers("PUT", "s3.example:7070", path, headers, hashlib.sha256(body).hexdigest(), KEYS, "eu-central-1", at)
    assert ours["authorization"] == theirs.headers["Authorization"]


@pytest.fixture
async def s3(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[S3Requests, list[web.Response]]]:
    """A server that answers with what the test put into the list, then with 200."""
    monkeypatch.setattr(s3_requests, "RETRY_AFTER_S", 0.0)
    answers: list[web.Response] = []

    async def answer(request: web.Request) -> web.Response:
        return answers.pop(0) if answers else web.Response(body=await request.read())

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    requests = S3Requests(f"http://127.0.0.1:{port}", "us-east-1", Kept(KEYS), connections=2)
    yield requests, answers
    await requests.close()
    await runner.cleanup()


async def test_a_busy_server_is_asked_again(s3: tuple[S3Requests, list[web.Response]]) -> None:
    requests, answers = s3
    answers += [web.Response(status=503), web.Response(status=409)]
    answer = await requests.send("PUT", "/bucket/key", b"bytes")
    assert (answer.status, answer.body) == (200, b"bytes")


async def test_a_server_that_stays_busy_is_believed_at_last(s3: tuple[S3Requests, list[web.Response]]) -> None:
    requests, answers = s3
    answers += [web.Response(status=503) for _ in range(3)]
    assert (await requests.send("GET", "/bucket/key")).status == 503


async def test_a_refusal_comes_back_in_the_servers_words(s3: tuple[S3Requests, list[web.Response]]) -> None:
    requests, answers = s3
    answers.append(web.Response(status=403, body=b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"))
    answer = await requests.send("GET", "/bucket/key")
    assert (answer.status, answer.code, answer.message) == (403, "AccessDenied", "no")
