"""Whoever asks for an id that is not theirs learns nothing, and is told to the security topic."""

from __future__ import annotations

import asyncio
from typing import Any

from postlaw_common.ids import new_id
from postlaw_common.testing.promises import promise


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
