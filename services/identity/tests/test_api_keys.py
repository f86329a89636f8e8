"""API keys: which are believed, who may make and see them, and how they end."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from postlaw.identity.v1 import identity_pb2
from postlaw_common.errors import Conflict, Denied, Invalid, KeyReused, NotFound, Unauthenticated
from postlaw_common.testing.promises import promise
from postlaw_identity.domain.api_key import compose, visible_prefix

from .identity_in_a_mesh import Identity, started


async def test_a_context_never_outlives_its_key_or_five_minutes(identity: Identity):
    tenant_id = await identity.tenant()
    request: dict[str, Any] = {"expires_at": {"seconds": int(time.time()) + 100}}
    short, long = await identity.key(tenant_id, **request), await identity.key(tenant_id)
    issued = await identity.authenticate(short.secret)
    assert issued.context.expires_at == short.api_key.expires_at
    issued = await identity.authenticate(long.secret)
    assert issued.context.expires_at.ToMicroseconds() - issued.context.issued_at.ToMicroseconds() == 300_000_000
    identity.clock.ahead_us = 101_000_000
    with pytest.raises(Unauthenticated) as refused:
        await identity.authenticate(short.secret)
    assert refused.value.type == "expired-key"


@promise("X6")
async def test_a_revoked_key_is_refused_at_once_and_every_gateway_is_told_before_the_answer(identity: Identity):
    made = await identity.key(await identity.tenant())
    caller = await identity.caller(made.secret)
    request = identity_pb2.RevokeApiKeyRequest(api_key_id=made.api_key.api_key_id)
    revoked = await identity.stub(caller).RevokeApiKey(request)
    assert ("postlaw.identity.ApiKeyRevoked", made.api_key.api_key_id, 2) in await identity.events()
    with pytest.raises(Unauthenticated) as refused:
        await identity.authenticate(made.secret)
    assert refused.value.type == "revoked-key"
    assert await identity.stub(caller).RevokeApiKey(request) == revoked
    assert [event[0] for event in await identity.events()].count("postlaw.identity.ApiKeyRevoked") == 1


async def test_a_wrong_key_of_any_kind_is_refused_the_mistyped_ones_without_a_look_up(identity: Identity):
    made = await identity.key(await identity.tenant())
    prefix = base64.b32decode(made.secret.split("_")[2].upper())
    guessed, unknown = compose(prefix, b"g" * 20), compose(b"12345", b"g" * 20)
    assert visible_prefix(guessed) == made.api_key.prefix
    mistyped = (made.secret[:-1], made.secret + "a", made.secret.upper(), "pl_live_", guessed[:20] + made.secret[20:])
    for wrong, why in [*((key, "checksum") for key in mistyped), (guessed, "not known"), (unknown, "not known")]:
        with pytest.raises(Unauthenticated, match=why) as refused:
            await identity.authenticate(wrong)
        assert refused.value.type == "unknown-key"


@promise("X6")
async def test_a_tenant_sees_and_touches_nothing_of_another(identity: Identity):
    mine, theirs = await identity.tenant("Mine"), await identity.tenant("Theirs")
    key = await identity.key(theirs)
    caller = identity.stub(await identity.caller((await identity.key(mine)).secret))
    with pytest.raises(NotFound):
        await caller.GetTenant(identity_pb2.GetTenantRequest(tenant_id=theirs))
    with pytest.raises(NotFound):
        await caller.RevokeApiKey(identity_pb2.RevokeApiKeyRequest(api_key_id=key.api_key.api_key_id))
    with pytest.raises(NotFound):
        await caller.CreateApiKey(identity_pb2.CreateApiKeyRequest(tenant_id=theirs, name="x", scopes=["lists:read"]))
    listed = await caller.ListApiKeys(identity_pb2.ListApiKeysRequest())
    assert {found.tenant_id for found in listed.api_keys} == {mine}
    await identity.authenticate(key.secret)


async def test_a_caller_gives_away_no_scope_that_it_lacks_and_none_that_does_not_exist(identity: Identity):
    tenant_id = await identity.tenant()
    limited = identity.stub(await identity.caller((await identity.key(tenant_id, scopes=["keys:write"])).secret))
    with pytest.raises(Denied):
        await limited.CreateApiKey(identity_pb2.CreateApiKeyRequest(name="x", scopes=["lists:read"]))
    for never in ("platform:admin", "audience:read", "everything"):
        with pytest.raises(Invalid) as refused:
            await identity.key(tenant_id, scopes=[never])
        assert [error.field for error in refused.value.fields] == ["scopes"]


async def test_a_repeated_request_makes_no_second_key_and_says_which_one_to_revoke(identity: Identity) -> None:
    tenant_id = await identity.tenant()
    made = await identity.key(tenant_id, idempotency_key="k")
    operator = await identity.operator(tenant_id)
    with pytest.raises(Conflict) as lost:
        await identity.key(tenant_id, idempotency_key="k")
    assert (lost.value.type, made.api_key.api_key_id in lost.value.detail) == ("api-key-secret-lost", True)
    assert made.secret not in lost.value.detail
    with pytest.raises(KeyReused):
        await identity.key(tenant_id, idempotency_key="k", scopes=["lists:read"])
    keys = (await operator.ListApiKeys(identity_pb2.ListApiKeysRequest())).api_keys
    assert [key.api_key_id for key in keys] == [made.api_key.api_key_id]
    await operator.RevokeApiKey(identity_pb2.RevokeApiKeyRequest(api_key_id=made.api_key.api_key_id))
    assert (await identity.key(tenant_id, idempotency_key="another")).secret


async def test_keys_are_listed_in_pages_without_gap_or_repetition(identity: Identity):
    tenant_id = await identity.tenant()
    made = [(await identity.key(tenant_id)).api_key.api_key_id for _ in range(5)]
    operator, seen, token = await identity.operator(tenant_id), list[str](), ""
    while True:
        page = await operator.ListApiKeys(identity_pb2.ListApiKeysRequest(page_size=2, page_token=token))
        seen += [key.api_key_id for key in page.api_keys]
        token = page.next_page_token
        if not token:
            break
    assert seen == made
    with pytest.raises(Invalid):
        await operator.ListApiKeys(identity_pb2.ListApiKeysRequest(page_token="elsewhere"))


async def test_the_store_holds_neither_the_secret_nor_a_hash_that_can_be_made_without_the_root_key(identity: Identity, tmp_path: Path):
    made = await identity.key(await identity.tenant())
    secret = made.secret.split("_")[3].encode()
    files = _contents(tmp_path)
    assert any(made.api_key.prefix.encode() in content for content in files)
    assert not any(secret in content for content in files)


async def test_keys_and_tenants_survive_a_restart(tmp_path: Path):
    async with started(tmp_path) as identity:
        secret = (await identity.key(await identity.tenant())).secret
        before = await identity.authenticate(secret)
    async with started(tmp_path) as identity:
        assert (await identity.authenticate(secret)).signed.key_id == before.signed.key_id
        assert (await identity.verified(before)).tenant_id == before.context.tenant_id


def _contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
