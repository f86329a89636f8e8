"""Requests that cannot be taken: the answer names each field, parameter or body that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.tests.played.sending import CAMPAIGN


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({**CAMPAIGN, "name": 5}, {"name"}),
        ({**CAMPAIGN, "colour": "red", "status": "sending"}, {"colour", "status"}),
        ({**CAMPAIGN, "sender": "Maier"}, {"sender"}),
        ({**CAMPAIGN, "sender": {"name": True, "post": 1}}, {"sender.name", "sender.post"}),
        ({**CAMPAIGN, "sender": {"name": "x"}}, {"sender.address", "sender.postal_address"}),
        ({**CAMPAIGN, "name": "x" * 201}, {"name"}),
        ({**CAMPAIGN, "name": "\ud800"}, {"name"}),
        ({}, {"name", "list_id", "sender"}),
    ],
)
async def test_wrong_fields_are_named(door: Any, body: dict[str, Any], wrong: set[str]) -> None:
    import json

    answer = await door.http.post("/v1/campaigns", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "https://postlaw.dev/problems/invalid-request"
    assert {field["field"] for field in problem["fields"]} == wrong
    assert door.sending.created == 0


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"name":"a","name":"b"}', "application/json", 400),
        (b'{"name":NaN}', "application/json", 400),
        (b'{"version":' + b"9" * 5000 + b"}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name":"' + b"x" * 1024 * 1024 + b'"}', "application/json", 413),
    ],
)
async def test_bodies_that_are_no_request(door: Any, content: bytes, kind: str, status: int) -> None:
    answer = await door.http.post("/v1/lists", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert door.subscribers.lists == {}


async def test_a_body_too_large_is_refused_also_when_its_length_is_not_announced(door: Any) -> None:
    async def body() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    answer = await door.http.post("/v1/lists", content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/v1/lists?page_size=many", "page_size"),
        ("/v1/lists?page_size=1.5", "page_size"),
        ("/v1/lists?page_size=99999999999", "page_size"),
        ("/v1/lists?colour=red", "colour"),
        ("/v1/lists?page_size=1&page_size=2", "page_size"),
        ("/v1/campaigns/cmp_1/recipients?state=perhaps", "state"),
        ("/v1/campaigns/cmp_1/recipients?campaign_id=cmp_2", "campaign_id"),
    ],
)
async def test_a_wrong_query_is_named(door: Any, path: str, wrong: str) -> None:
    answer = await door.http.get(path)
    assert answer.status_code == 400
    assert [field["field"] for field in answer.json()["fields"]] == [wrong]
