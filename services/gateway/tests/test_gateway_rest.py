"""REST: from JSON to the contract and back, with problems that say what is wrong and where."""

from __future__ import annotations

from typing import Any

from postlaw.sending.v1 import sending_pb2
from services.gateway.tests.played.sending import CAMPAIGN


async def test_a_campaign_from_draft_to_launch(door: Any) -> None:
    made = await door.http.post("/v1/campaigns", json=CAMPAIGN)
    assert made.status_code == 201, made.text
    campaign = made.json()
    assert made.headers["location"] == f"/v1/campaigns/{campaign['campaign_id']}"
    assert (campaign["status"], campaign["version"], campaign["sender"]["name"]) == ("draft", 1, "Maier")
    launched = await door.http.post(f"/v1/campaigns/{campaign['campaign_id']}/launch")
    assert (launched.status_code, launched.json()["status"]) == (200, "sending")
    read = await door.http.get(f"/v1/campaigns/{campaign['campaign_id']}")
    assert (read.status_code, read.json()["status"]) == (200, "sending")


async def test_calls_carry_the_callers_own_context(door: Any) -> None:
    await door.http.post("/v1/campaigns", json=CAMPAIGN, headers=door.key(tenant_id="ten_other", credential_id="key_7"))
    (caller,) = door.sending.callers
    assert (caller.tenant_id, caller.credential_id, str(caller.actor)) == ("ten_other", "key_7", "api_key:key_7")


async def test_pages_are_asked_for_in_the_query(door: Any) -> None:
    answer = await door.http.get("/v1/lists", params={"page_size": "7", "page_token": "abc"})
    assert answer.json()["next_page_token"] == "7/abc"
    recipients = await door.http.get("/v1/campaigns/cmp_1/recipients", params={"state": "refused"})
    assert recipients.json()["recipients"][0]["state"] == "refused"
    assert door.sending.states == [sending_pb2.RECIPIENT_STATE_REFUSED]


async def test_the_checkpoint_is_open_to_everyone_and_its_numbers_are_safe(door: Any) -> None:
    answer = await door.http.get("/v1/audit/checkpoint", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.json()["size"] == str(2**60)  # beyond what a JSON number holds exactly everywhere
    assert (await door.http.get("/v1/audit/consistency?first=3&second=9")).json()["second"] == 9


async def test_entity_tags_hold_a_write_to_what_was_read(door: Any) -> None:
    made = await door.http.post("/v1/subscribers", json={"address": "a@b.example"})
    assert made.status_code == 201
    path = made.headers["location"]
    read = await door.http.get(path)
    tag = read.headers["etag"]
    assert tag.startswith('"1-')
    assert (await door.http.get(path, headers={"if-none-match": f'W/"x", {tag}'})).status_code == 304
    changed = await door.http.put(path, json={"address": "b@b.example"}, headers={"if-match": tag})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = await door.http.put(path, json={"address": "c@b.example"}, headers={"if-match": tag})
    assert (stale.status_code, stale.json()["type"]) == (412, "https://postlaw.dev/problems/version-mismatch")
    assert (await door.http.get(path, headers={"if-none-match": tag})).status_code == 200
    assert (await door.http.delete(path, headers={"if-match": tag})).status_code == 412
    assert (await door.http.delete(path, headers={"if-match": '"nonsense"'})).status_code == 412
    assert (await door.http.delete(path, headers={"if-match": "3"})).status_code == 400
    gone = await door.http.delete(path, headers={"if-match": changed.headers["etag"]})
    assert (gone.status_code, gone.content) == (204, b"")


async def test_a_tag_changes_with_the_totals_also_when_the_version_does_not(door: Any) -> None:
    made = await door.http.post("/v1/campaigns", json=CAMPAIGN)
    path, tag = made.headers["location"], made.headers["etag"]
    door.sending.campaigns[made.json()["campaign_id"]].totals.sent = 5
    again = await door.http.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.json()["totals"]["sent"]) == (200, 5)


async def test_unknown_paths_and_verbs_are_problems(door: Any) -> None:
    missing = await door.http.get("/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    verb = await door.http.patch("/v1/lists")
    assert (verb.status_code, verb.headers["allow"]) == (405, "GET, HEAD, POST")
    assert (await door.http.get("/v1/campaigns/" + "x" * 200)).status_code == 404


async def test_every_answer_carries_the_security_headers_and_an_id_of_its_own(door: Any) -> None:
    ids: set[str] = set()
    for path in ("/v1/lists", "/v1/nothing", "/docs", "/v1/campaigns/x"):
        answer = await door.http.get(path, headers={"origin": "https://evil.example"})
        ids.add(answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert "access-control-allow-origin" not in answer.headers
        if path.startswith("/v1/"):
            assert answer.headers["cache-control"] == "no-store"
    assert len(ids) == 4


async def test_the_reference_works_without_a_network(door: Any) -> None:
    page = await door.http.get("/docs")
    assert page.status_code == 200 and "POST" in page.text and "/v1/campaigns/{campaign_id}/launch" in page.text
    assert "<script" not in page.text and "src=" not in page.text and "http-equiv" not in page.text
    home = await door.http.get("/")
    assert (home.status_code, home.headers["location"]) == (307, "/docs")


async def test_a_head_is_a_get_without_its_body(door: Any) -> None:
    answer = await door.http.head("/v1/lists")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
