"""Whoever is shown what is kept of people stands on the bus before they see it, and every call says which request it belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.bus import BusUnavailable
from postlaw_common.testing.promises import promise
from postlaw_gateway.wire import ACCESS_TOPIC, READ_TYPE


async def reads(door: Any) -> list[tuple[dict[str, bytes], audit_pb2.PersonalDataRead]]:
    bus = door.mesh.running.backing.bus
    reader = await bus.reader()
    await reader.assign({(ACCESS_TOPIC, partition): 0 for partition in range(bus.partitions)})
    found = await reader.read(timeout=1)
    await reader.close()
    return [(dict(record.headers), audit_pb2.PersonalDataRead.FromString(record.value)) for record in found]


@promise("A1", "G3")
async def test_who_was_shown_a_person_is_on_the_bus_with_their_request_and_network(door: Any) -> None:
    door.subscribers.people["sub_1"] = subscribers_pb2.Subscriber(subscriber_id="sub_1", address="ann@example.com", version=1)
    shown = await door.http.get("/v1/subscribers/sub_1", headers=door.key(tenant_id="ten_1", credential_id="key_7"))
    assert shown.status_code == 200
    ((headers, read),) = await reads(door)
    assert (read.operation, read.path, list(read.subscriber_ids)) == (
        "subscribers.GetSubscriber", "/v1/subscribers/{subscriber_id}", ["sub_1"],
    )  # fmt: skip
    assert (headers["ce_type"], headers["ce_actor"], headers["ce_network"]) == (READ_TYPE.encode(), b"api_key:key_7", b"127.0.0.0/24")
    assert headers["ce_requestid"].decode() == shown.headers["x-request-id"]
    assert b"ann@example.com" not in read.SerializeToString()


@promise("A1")
async def test_pages_of_many_people_name_each_that_was_shown(door: Any) -> None:
    await door.http.get("/v1/campaigns/cmp_1/recipients")
    ((_, read),) = await reads(door)
    assert (list(read.subscriber_ids), read.object_id) == (["sub_1"], "cmp_1")


@promise("A1")
async def test_who_searched_for_a_person_and_who_took_evidence_of_them_is_told_too(door: Any) -> None:
    found = await door.http.post("/v1/audit/entries/search", json={"address": "ann@example.com"})
    assert (found.status_code, found.json()["searched_below"]) == (200, 7)
    ((_, read),) = await reads(door)
    assert (read.operation, list(read.address_keys)) == ("audit.ListEntries", [b"\1key"])
    taken = await door.http.post("/v1/evidence", json={"address": "ann@example.com"})
    assert (taken.headers["content-type"], taken.content) == ("application/zip", b"PKann@example.com")
    (_, (_, read)) = await reads(door)
    assert (read.operation, list(read.address_keys)) == ("audit.GetEvidence", [b"\1key"])
    assert (await door.http.get("/v1/audit/entries", params={"address": "ann@example.com"})).status_code == 400


@promise("A1")
async def test_evidence_is_answered_by_id_by_address_and_by_a_mail_of_any_size_and_whoever_took_it_is_told(door: Any) -> None:
    by_id = await door.http.get("/v1/evidence/sub_1")
    assert (by_id.status_code, by_id.json()["searched_below"], by_id.json()["witnessed"]) == (200, 7, False)
    assert (await door.http.get("/v1/evidence/sub_1/bundle")).headers["content-type"] == "application/zip"
    assert (await door.http.post("/v1/evidence/answers", json={"address": "ann@example.com"})).json()["searched_below"] == 7
    eml = {"content-type": "message/rfc822"}
    whole = await door.http.post("/v1/evidence/mail", content=b"Subject: \xff\r\n\r\n", headers=eml)
    assert whole.json()["mail"] == {
        "ours": False, "reason": "14 octets", "message_id": "", "domain": "", "selector": "", "key_index": 0, "delivery_index": 0,
        "campaign_id": "", "body_checked": False, "attached": False,
    }  # fmt: skip
    large = await door.http.post("/v1/evidence/mail", content=b"x" * (20 << 20), headers=eml)
    assert (large.status_code, large.json()["mail"]["reason"]) == (200, f"{6 << 20} octets")
    pasted = await door.http.post("/v1/evidence/mail/bundle", content=b"Subject: x", headers={"content-type": "text/rfc822-headers"})
    assert pasted.headers["content-type"] == "application/zip"
    assert sorted(read.operation for _, read in await reads(door)) == ["audit.AnswerEvidence"] * 4 + ["audit.GetEvidence"] * 2
    endless = await door.http.post("/v1/evidence/mail", content=b"", headers=eml | {"content-length": str(65 << 20)})
    assert endless.status_code == 413
    for wrong in ("application/json", "text/html"):
        assert (await door.http.post("/v1/evidence/mail", content=b"{}", headers={"content-type": wrong})).status_code == 415


@promise("A1")
async def test_without_the_bus_nobody_is_shown_a_person(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    door.subscribers.people["sub_1"] = subscribers_pb2.Subscriber(subscriber_id="sub_1", address="ann@example.com", version=1)

    async def away(records: Any) -> list[int]:
        raise BusUnavailable("away")

    monkeypatch.setattr(door.mesh.running.backing.bus, "publish", away)
    refused = await door.http.get("/v1/subscribers/sub_1")
    assert refused.status_code == 503
    assert "ann@" not in refused.text


@promise("A1")
async def test_a_service_hears_which_request_a_call_belongs_to(door: Any) -> None:
    body = {"name": "x", "list_id": "lst_1", "sender": {"name": "M", "address": "m@m.example", "postal_address": "Graz"}}
    made = await door.http.post("/v1/campaigns", json=body)
    assert made.status_code == 201
    (caller,) = door.sending.callers
    assert (caller.origin.request_id, caller.origin.network) == (made.headers["x-request-id"], "127.0.0.0/24")
