"""A gateway killed between a deed and its note: what was asked for is neither lost nor done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest

from postlaw_common.testing.patience import patience
from tests.faults.harness import FaultMesh

SENDER = {"name": "Acme", "address": "news@acme.example", "postal_address": "Acme Ltd, 1 High Street, London N1 1AA"}
CSV = "email,name\nada@example.com,Ada\n"
NAME = "made once"


@pytest.fixture
def door(mesh: FaultMesh) -> Iterator[FaultMesh]:
    """The mesh, with an ordinary door again afterwards."""
    yield mesh
    mesh.take_away("door")
    mesh.serve("door")


@pytest.fixture
async def http(fault_mesh: tuple[FaultMesh, str]) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {fault_mesh[1]}"}
    async with httpx.AsyncClient(base_url=fault_mesh[0].gateway, headers=headers, timeout=60) as http:
        yield http


async def post(http: httpx.AsyncClient, path: str, key: str, request: dict[str, Any]) -> httpx.Response:
    options: dict[str, Any] = {**request, "headers": {"idempotency-key": key, **request.get("headers", {})}}
    return await http.post(path, **options)


async def answered(http: httpx.AsyncClient, path: str, key: str, request: dict[str, Any]) -> httpx.Response:
    """What the gateway says once the dead one's claim has ended."""
    async with patience():
        while True:
            response = await post(http, path, key, request)
            if not response.json().get("type", "").endswith("/idempotency-key-under-way"):
                return response
            await asyncio.sleep(0.3)


async def named(http: httpx.AsyncClient, path: str, things: str) -> list[dict[str, Any]]:
    page = (await http.get(path, params={"page_size": 200})).json()
    return [thing for thing in page.get(things, []) if thing["name"] == NAME]


async def test_what_a_killed_gateway_did_and_did_not_note_is_not_done_again(door: FaultMesh, http: httpx.AsyncClient) -> None:
    list_id = (await http.post("/v1/lists", json={"name": "for the import"})).json()["list_id"]
    campaign = {"name": NAME, "list_id": list_id, "sender": SENDER, "template": {"subject": "s", "text": "t"}}
    key = {"name": NAME, "scopes": ["lists:read"]}
    upload = {"params": {"list_id": list_id}, "content": CSV, "headers": {"content-type": "text/csv"}}
    asked: dict[str, dict[str, Any]] = {
        "/v1/lists": {"json": {"name": NAME}},
        "/v1/campaigns": {"json": campaign},
        "/v1/imports": upload,
        "/v1/api-keys": {"json": key},
    }
    door.take_away("door")
    door.serve("door", FAULTS_DIE_UNNOTED=str(len(asked)))
    first = [post(http, path, f"k{path}", request) for path, request in asked.items()]
    lost = await asyncio.gather(*first, return_exceptions=True)
    assert all(isinstance(answer, httpx.TransportError) for answer in lost), lost
    door.take_away("door")
    door.serve("door", FAULTS_DIE_UNNOTED="0")

    made = {path: await answered(http, path, f"k{path}", request) for path, request in asked.items()}
    assert [response.status_code for response in made.values()] == [201, 201, 202, 409]
    lists, campaigns = await named(http, "/v1/lists", "lists"), await named(http, "/v1/campaigns", "campaigns")
    assert [found["list_id"] for found in lists] == [made["/v1/lists"].json()["list_id"]]
    assert [found["campaign_id"] for found in campaigns] == [made["/v1/campaigns"].json()["campaign_id"]]
    # Its secret went down with the gateway: there is one key, and the problem says which one to revoke.
    [lost_key] = await named(http, "/v1/api-keys", "api_keys")
    problem = made["/v1/api-keys"].json()
    assert problem["type"].endswith("/api-key-secret-lost") and lost_key["api_key_id"] in problem["detail"]
    assert (await http.delete(f"/v1/api-keys/{lost_key['api_key_id']}")).status_code == 200

    noted = await answered(http, "/v1/imports", "k/v1/imports", upload)
    assert (noted.headers["idempotency-replayed"], noted.json()) == ("true", made["/v1/imports"].json())


async def test_another_body_after_a_killed_gateway_is_refused_by_who_did_the_first(door: FaultMesh, http: httpx.AsyncClient) -> None:
    door.take_away("door")
    door.serve("door", FAULTS_DIE_UNNOTED="1")
    with pytest.raises(httpx.TransportError):
        await http.post("/v1/lists", json={"name": "this"}, headers={"idempotency-key": "k-other"})
    door.take_away("door")
    door.serve("door", FAULTS_DIE_UNNOTED="0")
    other = await answered(http, "/v1/lists", "k-other", {"json": {"name": "that"}})
    assert (other.status_code, other.json()["type"]) == (422, "https://postlaw.dev/problems/idempotency-key-reused")
    assert (await answered(http, "/v1/lists", "k-other", {"json": {"name": "this"}})).status_code == 201
