"""Who may come in: keys become contexts, contexts are kept, and a revocation is heard within a second."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from postlaw_common.testing.patience import PATIENCE_S
from postlaw_common.testing.promises import promise
from postlaw_gateway.rate_limits import RateLimits


@promise("X6")
@pytest.mark.parametrize(
    ("authorization", "type"),
    [
        ("", "unauthenticated"),
        ("Basic abc", "unauthenticated"),
        ("Bearer ", "unauthenticated"),
        ("Bearer pl_live_unknown", "unknown-key"),
        ("Bearer something-else", "unknown-key"),
        ("Bearer pl_" + "x" * 300, "unknown-key"),
    ],
)
async def test_without_a_good_key_nobody_comes_in(door: Any, authorization: str, type: str) -> None:
    answer = await door.http.get("/v1/lists", headers={"authorization": authorization})
    assert answer.status_code == 401
    assert answer.json()["type"] == f"https://postlaw.dev/problems/{type}"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@promise("S3")
@pytest.mark.parametrize(("refusal", "kind"), [("expired-key", "expired_key"), ("revoked-key", "revoked_key")])
async def test_expired_and_revoked_keys_are_refused_and_told(door: Any, refusal: str, kind: str) -> None:
    answer = await door.http.get("/v1/lists", headers=door.key(refusal=refusal))
    assert (answer.status_code, answer.json()["type"]) == (401, f"https://postlaw.dev/problems/{refusal}")
    assert [event.kind for event in await door.security_events(1)] == [kind]


@promise("X6")
async def test_a_missing_scope_is_named_and_the_service_is_not_asked(door: Any) -> None:
    answer = await door.http.post("/v1/campaigns", json={}, headers=door.key(scopes=("campaigns:read",)))
    assert (answer.status_code, answer.json()["type"]) == (403, "https://postlaw.dev/problems/missing-scope")
    assert "campaigns:write" in answer.json()["detail"]
    assert door.sending.created == 0
    assert [event.kind for event in await door.security_events(1)] == ["missing_scope"]


async def test_a_context_is_asked_for_once_also_by_many_at_once(door: Any) -> None:
    await asyncio.gather(*(door.http.get("/v1/lists") for _ in range(20)))
    await door.http.get("/v1/lists")
    assert door.identity.asked == 1


async def test_an_unknown_key_is_not_remembered_as_unknown(door: Any) -> None:
    headers = door.key()
    secret = headers["authorization"].removeprefix("Bearer ")
    key = door.identity.keys.pop(secret)
    assert (await door.http.get("/v1/lists", headers=headers)).status_code == 401
    door.identity.keys[secret] = key
    assert (await door.http.get("/v1/lists", headers=headers)).status_code == 200


async def test_a_context_about_to_end_is_not_begun_with(door: Any) -> None:
    headers = door.key(lives_s=12)
    await door.http.get("/v1/lists", headers=headers)
    await door.http.get("/v1/lists", headers=headers)
    assert door.identity.asked == 2


@promise("X6")
async def test_a_revocation_shuts_the_door_to_a_kept_context(door: Any) -> None:
    headers = door.key(credential_id="key_leaked")
    assert (await door.http.get("/v1/lists", headers=headers)).status_code == 200
    await door.publish_revocation("key_leaked")
    ends = time.monotonic() + PATIENCE_S
    status = 200
    while status == 200 and time.monotonic() < ends:
        await asyncio.sleep(0.02)
        status = (await door.http.get("/v1/lists", headers=headers)).status_code
    assert status == 401
    assert (await door.http.get("/v1/lists")).status_code == 200


@promise("X6")
async def test_an_answer_overtaken_by_its_revocation_is_not_believed(door: Any) -> None:
    headers = door.key(credential_id="key_leaked")

    async def revoke_meanwhile() -> None:
        await door.publish_revocation("key_leaked")
        while "key_leaked" not in authentication._revoked:
            await asyncio.sleep(0.01)

    authentication = door.mesh.running.services["gateway"].http_app.parts.authentication
    door.identity.before_answer = revoke_meanwhile
    answer = await door.http.get("/v1/lists", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "https://postlaw.dev/problems/revoked-key")


async def test_a_deaf_gateway_asks_identity_every_time(door: Any) -> None:
    authentication = door.mesh.running.services["gateway"].http_app.parts.authentication
    authentication._hears_revocations = lambda: False
    await door.http.get("/v1/lists")
    await door.http.get("/v1/lists")
    assert door.identity.asked == 2


async def test_identity_away_is_no_refusal(door: Any) -> None:
    door.identity.down = True
    answer = await door.http.get("/v1/lists")
    assert answer.status_code in (500, 503)
    assert "www-authenticate" not in answer.headers


async def test_a_keys_secret_is_shown_once(door: Any) -> None:
    once = {"idempotency-key": "k1"}
    body = {"name": "shop", "scopes": ["lists:read"]}
    made = await door.http.post("/v1/api-keys", json=body, headers=once)
    assert (made.status_code, made.json()["secret"]) == (201, "pl_live_secret1")
    again = await door.http.post("/v1/api-keys", json=body, headers=once)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {"api_key": made.json()["api_key"]}
    assert len(door.identity.created) == 1
    assert (await door.http.post("/v1/api-keys", json={**body, "tenant_id": "ten_x"})).status_code == 400


@promise("X6")
def test_a_key_gets_its_rate_and_no_more() -> None:
    clock = [0.0]
    limits = RateLimits(2.0, 3, lambda: clock[0])
    taken = [limits.take("a").allowed for _ in range(4)]
    assert taken == [True, True, True, False]
    assert limits.take("b").allowed
    assert limits.take("a").retry_after_s == 0.5
    clock[0] = 0.5
    assert limits.take("a").allowed
    assert not limits.take("a").allowed
    clock[0] = 100.0
    assert limits.take("a").remaining == 2


@promise("X6")
async def test_a_rate_used_up_is_answered_with_when_to_come_back(door: Any) -> None:
    parts = door.mesh.running.services["gateway"].http_app.parts
    parts.rate_limits._monotonic = lambda: 0.0
    for _ in range(200):
        parts.rate_limits.take("key_busy")
    answer = await door.http.get("/v1/lists", headers=door.key(credential_id="key_busy"))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["ratelimit-policy"] == '"default";q=200;w=2'
    assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
    fine = await door.http.get("/v1/lists")
    assert fine.headers["ratelimit"].startswith('"default";r=199;')
