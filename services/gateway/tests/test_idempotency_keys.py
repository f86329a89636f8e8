"""A POST with an Idempotency-Key is done once, whatever the network does to it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from postlaw_common.errors import KeyReused
from postlaw_common.ids import new_id
from postlaw_common.store import StoreUnavailable

LIST = {"name": "News"}


async def test_the_same_request_is_answered_again_and_not_done_again(door: Any) -> None:
    once = {"idempotency-key": "order-1"}
    first = await door.http.post("/v1/lists", json=LIST, headers=once)
    again = await door.http.post("/v1/lists", json=LIST, headers=once)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"] and again.headers["etag"] == first.headers["etag"]
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert len(door.subscribers.lists) == 1


async def test_another_body_or_path_under_the_same_key_is_refused(door: Any) -> None:
    once = {"idempotency-key": '"order-1"'}
    await door.http.post("/v1/lists", json=LIST, headers=once)
    other = await door.http.post("/v1/lists", json={"name": "Other"}, headers={"idempotency-key": "order-1"})
    assert (other.status_code, other.json()["type"]) == (422, "https://postlaw.dev/problems/idempotency-key-reused")
    assert len(door.subscribers.lists) == 1
    campaign = {
        "name": "n", "list_id": "lst_1", "sender": {"name": "M", "address": "a@b.example", "postal_address": "x"},
        "template": {"subject": "s", "text": "t"},
    }  # fmt: skip
    ids = [(await door.http.post("/v1/campaigns", json=campaign)).json()["campaign_id"] for _ in range(2)]
    assert (await door.http.post(f"/v1/campaigns/{ids[0]}/launch", headers=once)).status_code == 200
    assert (await door.http.post(f"/v1/campaigns/{ids[1]}/launch", headers=once)).status_code == 422


async def test_two_at_once_are_done_once(door: Any) -> None:
    door.sending.hold = asyncio.Event()
    body = {
        "name": "n", "list_id": "lst_1", "sender": {"name": "M", "address": "a@b.example", "postal_address": "x"},
        "template": {"subject": "s", "text": "t"},
    }  # fmt: skip
    once = {"idempotency-key": "c-1"}
    first = asyncio.create_task(door.http.post("/v1/campaigns", json=body, headers=once))
    while not door.sending.created:
        await asyncio.sleep(0.01)
    second = await door.http.post("/v1/campaigns", json=body, headers=once)
    assert (second.status_code, second.headers["retry-after"]) == (409, "1")
    assert second.json()["type"] == "https://postlaw.dev/problems/idempotency-key-under-way"
    door.sending.hold.set()
    assert (await first).status_code == 201
    assert (await door.http.post("/v1/campaigns", json=body, headers=once)).headers["idempotency-replayed"] == "true"
    assert door.sending.created == 1


async def test_a_key_counts_for_one_customer_one_credential_and_one_route(door: Any) -> None:
    for headers in (door.key(), door.key(), door.key(tenant_id="ten_other")):
        answer = await door.http.post("/v1/lists", json=LIST, headers={**headers, "idempotency-key": "k"})
        assert "idempotency-replayed" not in answer.headers
    assert len(door.subscribers.lists) == 3


async def test_what_failed_may_be_tried_again_with_the_same_key(door: Any) -> None:
    once = {"idempotency-key": "k"}
    foreign = new_id("cmp")
    assert (await door.http.post(f"/v1/campaigns/{foreign}/launch", headers=once)).status_code == 404
    assert (await door.http.post(f"/v1/campaigns/{foreign}/launch", headers=once)).status_code == 404
    assert (await door.http.post("/v1/lists", json={"nam": 1}, headers=once)).status_code == 400
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é".encode()])
async def test_a_wrong_key_is_refused(door: Any, key: Any) -> None:
    assert (await door.http.post("/v1/lists", json=LIST, headers={"idempotency-key": key})).status_code == 400


async def test_a_service_gets_a_key_of_its_own_that_follows_from_ours(door: Any) -> None:
    record = {"address": "a@b.example", "scope": {"everything": True}}
    await door.http.post("/v1/consents", json={"consents": [record, record]}, headers={"idempotency-key": "k"})
    given = [consent.idempotency_key for consent in door.consent.recorded[0].consents]
    assert given[0] != given[1] and given[0].rpartition("/")[0] == given[1].rpartition("/")[0] != ""


async def test_nothing_personal_stands_in_the_store_in_clear(door: Any, tmp_path: Any) -> None:
    await door.http.post("/v1/subscribers", json={"address": "vera@secret.example"}, headers={"idempotency-key": "vera-key"})
    again = await door.http.post("/v1/subscribers", json={"address": "vera@secret.example"}, headers={"idempotency-key": "vera-key"})
    assert again.json()["address"] == "vera@secret.example"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    # Base64 of the same bytes looks different at each of three places.
    spellings = [b"vera", *(base64.b64encode(b"\0" * place + b"vera@secret.example")[4:-4] for place in range(3))]
    assert files and not [spelling for spelling in spellings if any(spelling in content for content in files)]


async def test_a_dead_gateways_claim_is_taken_over_and_a_days_old_answer_forgotten(door: Any) -> None:
    idempotency = door.mesh.running.services["gateway"].http_app.parts.idempotency
    clock = [idempotency._now_us()]
    idempotency._now_us = lambda: clock[0]
    door.sending.hold = asyncio.Event()
    once = {"idempotency-key": "k"}
    await door.http.post("/v1/lists", json=LIST, headers=once)
    clock[0] += 24 * 3600 * 1_000_000 + 1
    later = await door.http.post("/v1/lists", json={"name": "Other"}, headers=once)
    assert (later.status_code, "idempotency-replayed" in later.headers) == (201, False)
    clock[0] += 26 * 3600 * 1_000_000
    assert await idempotency.sweep() == 1
    collection = idempotency._collection()
    assert await collection.count() == 0


async def test_a_claim_left_by_a_dead_gateway_ends_with_its_lease(door: Any) -> None:
    idempotency = door.mesh.running.services["gateway"].http_app.parts.idempotency
    clock = [idempotency._now_us()]
    idempotency._now_us = lambda: clock[0]
    caller = door.mesh.caller("ten_1")
    await idempotency.claim(caller, "POST /v1/lists", "k", b"request")
    with pytest.raises(Exception, match="under way"):
        await idempotency.claim(caller, "POST /v1/lists", "k", b"request")
    clock[0] += 61 * 1_000_000
    assert not (await idempotency.claim(caller, "POST /v1/lists", "k", b"request")).stored


async def test_services_are_told_one_name_for_a_deed_until_its_key_expires(door: Any) -> None:
    """Through an answer that was lost, and through a gateway that died between the deed and the note."""
    idempotency = door.mesh.running.services["gateway"].http_app.parts.idempotency
    clock = [idempotency._now_us()]
    idempotency._now_us = lambda: clock[0]
    once = {"idempotency-key": "k"}
    door.subscribers.loses_answers = True
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 503
    door.subscribers.loses_answers = False

    async def never(*_: Any) -> None:
        raise StoreUnavailable("nothing is noted any more")

    keep, idempotency.keep = idempotency.keep, never
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 201
    idempotency.keep = keep
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 409
    clock[0] += 61 * 1_000_000
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 201
    clock[0] += 24 * 3600 * 1_000_000 + 1
    assert (await door.http.post("/v1/lists", json=LIST, headers=once)).status_code == 201
    deeds = door.subscribers.deeds
    assert len(deeds) == 4 and deeds[0] == deeds[1] == deeds[2] != deeds[3] and deeds[0]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/lists", LIST), ("/v1/api-keys", {"name": "n", "scopes": ["lists:read"]}), ("/v1/imports?list_id=lst_1", None)],
)
async def test_no_caller_names_the_deed_itself(door: Any, path: str, body: Any) -> None:
    if body is None:
        answer = await door.http.post(f"{path}&idempotency_key=mine", content=b"x", headers={"content-type": "text/csv"})
    else:
        answer = await door.http.post(path, json={**body, "idempotency_key": "mine"})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "idempotency_key")


async def test_an_import_is_told_its_deed(door: Any) -> None:
    headers = {"content-type": "text/csv", "idempotency-key": "k"}
    await door.http.post("/v1/imports?list_id=lst_1", content=b"email", headers=headers)
    await door.http.post("/v1/imports?list_id=lst_1", content=b"email", headers={"content-type": "text/csv"})
    assert [bool(settings.idempotency_key) for settings in door.subscribers.settings] == [True, False]


async def test_a_service_that_knows_the_deed_with_another_body_says_what_the_gateway_would(door: Any) -> None:
    door.subscribers.refuses = KeyReused("Another one.")
    answer = await door.http.post("/v1/lists", json=LIST, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["type"]) == (422, "https://postlaw.dev/problems/idempotency-key-reused")
