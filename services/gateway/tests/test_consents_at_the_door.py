"""Consents, withdrawals, decisions and notices over REST: what goes in, and what never leaves."""

from __future__ import annotations

import hashlib
from typing import Any

from postlaw.consent.v1 import consent_pb2
from postlaw_common.testing.promises import promise


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
