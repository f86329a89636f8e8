"""REST: from JSON to the contract and back, with problems that say what is wrong and where."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw.sending.v1 import sending_pb2
from postlaw_common.ids import new_id
from postlaw_common.testing.promises import promise

CAMPAIGN = {
    "name": "Spring",
    "list_id": "lst_1",
    "sender": {"name": "Maier", "address": "news@maier.example", "postal_address": "Weg 1, Graz"},
    "template": {"subject": "Hello", "text": "Hi {{ name }}", "html": "<p>Hi</p>"},
}


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


async def test_pages_are_asked_for_in_the_query(door: Any) -> None:
    answer = await door.http.get("/v1/lists", params={"page_size": "7", "page_token": "abc"})
    assert answer.json()["next_page_token"] == "7/abc"
    recipients = await door.http.get("/v1/campaigns/cmp_1/recipients", params={"state": "refused"})
    assert recipients.json()["recipients"][0]["state"] == "refused"
    assert door.sending.states == [sending_pb2.RECIPIENT_STATE_REFUSED]


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


async def test_what_only_the_mesh_knows_is_not_taken_from_outside(door: Any) -> None:
    record = {"address": "a@b.example", "scope": {"everything": True}}
    for hidden in ("route", "idempotency_key", "address_key", "sealed_proof_evidence"):
        answer = await door.http.post("/v1/consents", json={"consents": [{**record, hidden: "AAAA"}]})
        assert [field["field"] for field in answer.json()["fields"]] == [f"consents[0].{hidden}"]
    answer = await door.http.post("/v1/consents", json={"consents": [record]})
    assert answer.status_code == 201
    assert door.consent.recorded[0].consents[0].route == consent_pb2.ROUTE_API


async def test_sealed_evidence_never_leaves(door: Any) -> None:
    (event,) = (await door.http.get("/v1/subscribers/sub_1/consents")).json()["events"]
    assert event["event_id"] == "evt_1"
    assert event["address_key"] == "AP8="
    assert not [name for name in event if name.startswith("sealed")]


async def test_a_withdrawal_by_api_is_answered_with_its_receipt(door: Any) -> None:
    answer = await door.http.post("/v1/consents/withdraw", json={"address": "a@b.example", "scope": {"list_id": "lst_1"}})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stopped")
    assert door.consent.stopped[0].route == consent_pb2.ROUTE_API
    both = {"address": "a@b.example", "subscriber_id": "sub_1", "scope": {"list_id": "lst_1"}}
    assert (await door.http.post("/v1/consents/withdraw", json=both)).status_code == 400


async def test_a_consent_brings_its_kind_and_what_the_law_asks(door: Any) -> None:
    particulars = {"held": ["affirmative_act", "purpose"], "territories": ["DE", "AT"], "grade": "attested", "language": "de"}
    record = {"address": "a@b.example", "scope": {"list_id": "lst_1"}, "kind": "confirmed", "particulars": particulars}
    answer = await door.http.post("/v1/consents", json={"consents": [record]})
    assert answer.status_code == 201, answer.text
    (told,) = door.consent.recorded[0].consents
    assert told.kind == consent_pb2.ConsentEvent.KIND_CONFIRMED
    assert told.particulars == consent_pb2.Particulars(
        held=[consent_pb2.EVIDENCE_AFFIRMATIVE_ACT, consent_pb2.EVIDENCE_PURPOSE],
        territories=["DE", "AT"],
        grade=consent_pb2.EVIDENCE_GRADE_ATTESTED,
        language="de",
    )
    wrong = {**record, "particulars": {"refers_to_version": 3, "grade": "good"}}
    answer = await door.http.post("/v1/consents", json={"consents": [wrong]})
    assert [field["field"] for field in answer.json()["fields"]] == [
        "consents[0].particulars.refers_to_version",
        "consents[0].particulars.grade",
    ]


@promise("M8")
async def test_a_relationship_is_an_implied_consent_whatever_it_says_itself(door: Any) -> None:
    record = {"address": "a@b.example", "scope": {"everything": True}, "particulars": {"relationship": "purchase"}}
    answer = await door.http.post("/v1/relationships", json={"consents": [record]}, headers={"idempotency-key": "r"})
    assert answer.status_code == 201, answer.text
    (told,) = door.consent.recorded[0].consents
    assert (told.kind, told.route) == (consent_pb2.ConsentEvent.KIND_IMPLIED, consent_pb2.ROUTE_API)
    assert told.particulars.relationship == "purchase" and told.idempotency_key
    answer = await door.http.post("/v1/relationships", json={"consents": [{**record, "kind": "given"}]})
    assert [field["field"] for field in answer.json()["fields"]] == ["consents[0].kind"]
    assert len(door.consent.recorded) == 1


async def test_an_objection_goes_through_the_stop(door: Any) -> None:
    body = {"address": "a@b.example", "scope": {"everything": True}, "kind": "objected", "particulars": {"objection": "profiling"}}
    answer = await door.http.post("/v1/consents/withdraw", json=body)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stopped")
    (told,) = door.consent.stopped
    assert (told.kind, told.particulars.objection) == (consent_pb2.ConsentEvent.KIND_OBJECTED, "profiling")


async def test_a_decision_is_explained_with_its_sections(door: Any) -> None:
    body = {"subscriber_id": "sub_1", "scope": {"list_id": "lst_1"}, "message": {"message_class": "commercial", "states": ["similar"]}}
    answer = await door.http.post("/v1/decisions/explain", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["verdict"]["reasons"] == [{"code": "CA:ROUTE_EXPIRED", "section": "CASL s. 10(10)"}]
    assert (answer.json()["verdict"]["allow"], answer.json()["evidence"]) == (False, ["evt_1"])
    assert list(door.consent.explained[0].message.states) == ["similar"]


async def test_a_persons_own_link_is_shown_also_when_the_answer_is_replayed(door: Any) -> None:
    body, once = {"address": "a@b.example", "scope": {"list_id": "lst_1"}}, {"idempotency-key": "link"}
    for _ in range(2):
        answer = await door.http.post("/v1/opt-out-links", json=body, headers=once)
        assert (answer.status_code, answer.json()) == (201, {"url": "https://mail.example/u/2"})


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


@promise("S3")
async def test_a_well_formed_id_that_is_not_the_callers_is_told_to_the_security_topic(door: Any) -> None:
    foreign, odd = new_id("cmp"), "cmp_1"
    for id in (odd, foreign):
        answer = await door.http.get(f"/v1/campaigns/{id}")
        assert (answer.status_code, answer.json()["type"]) == (404, "https://postlaw.dev/problems/not-found")
    (event,) = await door.security_events(1)
    assert (event.kind, event.object_id, event.method, event.path) == ("foreign_id", foreign, "GET", "/v1/campaigns/{campaign_id}")
    assert event.tenant_id and event.credential_id


@promise("S3")
async def test_a_foreign_id_in_a_body_is_told_as_well(door: Any) -> None:
    foreign = "sub_" + "0a" * 35
    assert (await door.http.put(f"/v1/subscribers/{foreign}", json={"address": "a@b.example"})).status_code == 404
    body = b"email\r\n"
    assert (await door.http.post("/v1/imports?list_id=lst_gone", content=body, headers={"content-type": "text/csv"})).status_code == 404
    taken = (await door.http.post("/v1/lists", json={"name": "x"})).json()["list_id"]
    assert (await door.http.get(f"/v1/lists/{taken}x")).status_code == 404
    events = await door.security_events(2)
    assert sorted(event.object_id for event in events) == sorted([foreign, taken + "x"])


async def test_asking_for_a_proof_too_early_is_no_sign_of_prying(door: Any) -> None:
    await door.http.get(f"/v1/audit/events/{new_id('evt')}/proof")
    await door.http.get(f"/v1/campaigns/{new_id('cmp')}")
    await asyncio.sleep(0)
    events = await door.security_events(1)
    assert [event.path for event in events] == ["/v1/campaigns/{campaign_id}"]


@promise("G2")
async def test_a_notice_is_named_by_the_hash_that_sha256sum_prints(door: Any) -> None:
    notice = {"wording": "Ja, gerne.", "language": "de", "effective_from": "2026-03-01T12:00:00Z"}
    named = hashlib.sha256(b"Ja, gerne.").hexdigest()
    made = await door.http.post("/v1/notices", json=notice)
    assert (made.status_code, made.headers["location"], made.json()["notice_hash"]) == (201, f"/v1/notices/{named}", named)
    assert (await door.http.post("/v1/notices", json=notice)).status_code == 200
    assert (await door.http.get(f"/v1/notices/{named}")).json()["wording"] == "Ja, gerne."
    for other in (named.upper(), named[:-1], named + "00", "no hash", "0" * 64):
        assert (await door.http.get(f"/v1/notices/{other}")).status_code in (400, 404), other
    consent = {"subscriber_id": "sub_1", "scope": {"list_id": "lst_1"}, "notice_hash": named}
    assert (await door.http.post("/v1/consents", json={"consents": [consent]})).status_code == 201
    assert door.consent.recorded[-1].consents[0].notice_hash.hex() == named
    wrong = await door.http.post("/v1/consents", json={"consents": [consent | {"notice_hash": "bm90IGhleA=="}]})
    assert (wrong.status_code, [one["field"] for one in wrong.json()["fields"]]) == (400, ["consents[0].notice_hash"])
