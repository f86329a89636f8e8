"""Signed contexts: who is given one, and that every service believes these and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.caller import Actor
from postlaw_common.errors import Conflict, Denied, NotFound, Unauthenticated
from postlaw_common.rpc.context_token import ContextVerifier
from postlaw_common.rpc.signing_keys import keys_of_identity
from postlaw_common.service_context import ServiceContexts
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

from .identity_in_a_mesh import Identity, started


@promise("X6")
async def test_a_key_becomes_a_context_that_every_service_believes(identity: Identity):
    tenant_id = await identity.tenant()
    made = await identity.key(tenant_id, scopes=["lists:read", "lists:write"])
    caller = await identity.caller(made.secret)
    assert (caller.tenant_id, caller.credential_id) == (tenant_id, made.api_key.api_key_id)
    assert caller.actor == Actor("api_key", made.api_key.api_key_id)
    assert caller.scopes == {"lists:read", "lists:write"}
    tenant = await identity.stub(caller).GetTenant(identity_pb2.GetTenantRequest(tenant_id=tenant_id))
    assert tenant.name == "Acme (development)"


async def test_a_service_acts_under_its_own_name_on_behalf_of_who_began_the_work(identity: Identity):
    tenant_id = await identity.tenant()
    contexts = ServiceContexts(identity.mesh.channel("identity", as_service="subscribers"), "subscribers", now_us=identity.clock)
    began = Actor("api_key", "key_1")
    async with contexts.acting(tenant_id, began, ["subscribers:write"], "import imp_1") as first:
        verified = await identity.verifier.verify(first.signed)
    assert (verified.actor, verified.on_behalf_of) == (Actor("service", "subscribers"), began)
    assert verified.scopes == {"subscribers:write"}
    async with contexts.acting(tenant_id, began, ["subscribers:write"], "import imp_1") as again:
        assert again is first
    identity.clock.ahead_us = 245_000_000  # less than a minute before its end
    async with contexts.acting(tenant_id, began, ["subscribers:write"], "import imp_1") as renewed:
        assert renewed.signed != first.signed
    with pytest.raises(Denied):
        await contexts.get(tenant_id, scopes=["keys:write"])
    with pytest.raises(NotFound):
        await contexts.get("ten_none")


async def test_only_the_operators_certificate_gets_an_operators_context(identity: Identity):
    for service in ("gateway", "consent", "identity"):
        stub: Any = IdentityServiceStub(identity.mesh.channel("identity", as_service=service))
        with pytest.raises(Denied):
            await stub.IssueOperatorContext(identity_pb2.IssueOperatorContextRequest())


async def test_a_signing_key_follows_another_while_calls_go_on_and_none_is_refused(tmp_path: Path):
    # Longer than a second: no verifier asks for keys more often than that.
    async with started(tmp_path, signing_key_lead_s=1.2) as identity:
        secret = (await identity.key(await identity.tenant())).secret
        verifier, seen, stop = identity.verifier, set[str](), asyncio.Event()

        async def calls() -> None:
            while not stop.is_set():
                issued = await identity.authenticate(secret)
                await verifier.verify(issued.signed.SerializeToString())
                seen.add(issued.signed.key_id)

        first = await identity.authenticate(secret)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(calls()) for _ in range(4)]
            operator = await identity.operator()
            keys = await operator.RotateSigningKey(identity_pb2.RotateSigningKeyRequest())
            old, new = keys.signing_keys
            with pytest.raises(Conflict):
                await operator.RotateSigningKey(identity_pb2.RotateSigningKeyRequest())
            await _until(lambda: new.key_id in seen)
            stop.set()
        assert all(task.done() for task in running)
        assert seen == {old.key_id, new.key_id}
        fresh = ContextVerifier(keys_of_identity(identity.mesh.channel("identity", as_service="sending")), now_us=identity.clock)
        await fresh.verify(first.signed.SerializeToString())
        assert old.not_after.ToMicroseconds() > first.context.expires_at.ToMicroseconds()
        assert [event[2] for event in await identity.events() if event[0].endswith("SigningKeyRotated")] == [1, 2]


async def test_a_forged_or_altered_context_is_believed_by_nobody(identity: Identity):
    issued = await identity.authenticate((await identity.key(await identity.tenant())).secret)
    altered = context_pb2.SignedContext.FromString(issued.signed.SerializeToString())
    altered.context = altered.context.replace(b"lists:read", b"lists:raed")
    with pytest.raises(Unauthenticated):
        await identity.verifier.verify(altered.SerializeToString())


async def _until(condition: Callable[[], bool]) -> None:
    async with patience():
        while not condition():
            await asyncio.sleep(0.01)
