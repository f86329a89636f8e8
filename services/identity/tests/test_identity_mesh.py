"""Identity as others meet it: over mutual TLS, behind the method table, with contexts that everyone verifies."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import Conflict, Denied, Invalid, KeyReused, NotFound, Unauthenticated
from postlaw_common.events import Event, from_record
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.context_token import ContextVerifier
from postlaw_common.rpc.signing_keys import keys_of_identity
from postlaw_common.service_context import ServiceContexts
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_identity.commands import changed
from postlaw_identity.domain import scopes
from postlaw_identity.domain.api_key import compose, visible_prefix
from postlaw_identity.service import IdentitySettings, build
from postlaw_identity.wire import EVENTS


class Clock:
    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us


class Identity:
    """Identity in a mesh, and the operator's way in."""

    def __init__(self, m: Mesh, clock: Clock) -> None:
        self.mesh = m
        self.clock = clock
        self.gateway: Any = IdentityServiceStub(m.channel("identity", as_service="gateway"))
        self.verifier = ContextVerifier(keys_of_identity(m.channel("identity", as_service="consent")), now_us=clock)

    def stub(self, caller: Caller, as_service: str = "gateway") -> Any:
        return IdentityServiceStub(self.mesh.channel("identity", as_service=as_service, caller=caller))

    async def operator(self, tenant_id: str = "") -> Any:
        bare: Any = IdentityServiceStub(self.mesh.channel("identity", as_service="operator"))
        issued = await bare.IssueOperatorContext(identity_pb2.IssueOperatorContextRequest(tenant_id=tenant_id))
        return self.stub(await self.verified(issued), "operator")

    async def verified(self, issued: identity_pb2.IssuedContext) -> Caller:
        return await self.verifier.verify(issued.signed.SerializeToString())

    async def tenant(self, name: str = "Acme (development)") -> str:
        operator = await self.operator()
        return (await operator.CreateTenant(identity_pb2.CreateTenantRequest(name=name))).tenant_id

    async def key(self, tenant_id: str, **fields: Any) -> identity_pb2.CreateApiKeyResponse:
        given: dict[str, Any] = {"name": "test", "scopes": sorted(scopes.CUSTOMER), **fields}
        request = identity_pb2.CreateApiKeyRequest(tenant_id=tenant_id, **given)
        return await (await self.operator()).CreateApiKey(request)

    async def caller(self, secret: str) -> Caller:
        return await self.verified(await self.authenticate(secret))

    async def authenticate(self, secret: str) -> identity_pb2.IssuedContext:
        return await self.gateway.AuthenticateApiKey(identity_pb2.AuthenticateApiKeyRequest(secret=secret))

    async def events(self) -> list[tuple[str, str, int]]:
        return [(event.type, event.subject, event.sequence) for event in await self.published()]

    async def published(self) -> list[Event]:
        bus = self.mesh.running.backing.bus
        records = [record for p in range(bus.partitions) for record in await bus.read_range(EVENTS, p, 0, 1000)]
        return sorted(map(from_record, records), key=lambda event: event.id)

    async def set_sender(self, tenant_id: str, postal_address: str = "", **stands: str) -> identity_pb2.Tenant:
        sender = identity_pb2.SenderIdentity(**stands)
        request = identity_pb2.SetSenderIdentityRequest(tenant_id=tenant_id, postal_address=postal_address, sender_identity=sender)
        return await (await self.operator()).SetSenderIdentity(request)


@asynccontextmanager
async def started(path: Path, **settings: Any) -> AsyncGenerator[Identity]:
    clock = Clock()
    async with mesh(path, [lambda platform: build(platform, IdentitySettings(**settings))], now_us=clock) as m:
        yield Identity(m, clock)


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncGenerator[Identity]:
    async with started(tmp_path) as identity:
        yield identity


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


async def test_where_a_customer_stands_is_replaced_once_and_announced_with_before_and_after(identity: Identity):
    tenant_id = await identity.tenant()
    first = await identity.set_sender(tenant_id, territory="IE", time_zone="Europe/Dublin", contact="post@acme.example")
    assert (first.version, first.sender_identity.kind) == (2, "business")
    assert await identity.set_sender(tenant_id, territory="IE", time_zone="Europe/Dublin", contact="post@acme.example") == first
    second = await identity.set_sender(tenant_id, "1 Main St\nCork", territory="GB", kind="registered_charity")
    stands = second.sender_identity
    assert (second.version, second.postal_address, stands.territory, stands.contact) == (3, "1 Main St\nCork", "GB", "")
    changes = [event for event in await identity.published() if event.type == "postlaw.identity.SenderIdentityChanged"]
    assert [(event.subject, event.sequence) for event in changes] == [(tenant_id, 2), (tenant_id, 3)]
    last = identity_pb2.SenderIdentityChanged.FromString(changes[-1].data)
    assert (last.before, last.after) == (first, second)
    for service in ("consent", "sending", "gateway"):
        stub: Any = IdentityServiceStub(identity.mesh.channel("identity", as_service=service))
        assert await stub.GetTenant(identity_pb2.GetTenantRequest(tenant_id=tenant_id)) == second


async def test_two_operators_at_once_make_two_changes_and_lose_none(identity: Identity):
    tenant_id = await identity.tenant()
    await asyncio.gather(*(identity.set_sender(tenant_id, contact=f"+353 {n}") for n in range(4)))
    changes = {event.id: event for event in await identity.published() if event.type == "postlaw.identity.SenderIdentityChanged"}
    heard = [
        identity_pb2.SenderIdentityChanged.FromString(event.data) for event in changes.values()
    ]  # each once: it may be published twice
    by_version = sorted(heard, key=lambda change: change.after.version)
    assert [change.after.version for change in by_version] == [2, 3, 4, 5]
    assert all(change.before == earlier.after for earlier, change in itertools.pairwise(by_version))


async def test_a_place_in_the_law_that_there_is_not_is_refused_field_by_field(identity: Identity):
    tenant_id = await identity.tenant()
    wrong = {"territory": "UK", "kind": "firm", "time_zone": "Dublin", "contact": "a\nb"}
    with pytest.raises(Invalid) as refused:
        await identity.set_sender(tenant_id, **wrong)
    assert {error.field for error in refused.value.fields} == {f"sender_identity.{name}" for name in wrong}
    request = identity_pb2.CreateTenantRequest(name="x", sender_identity=identity_pb2.SenderIdentity(territory="UK"))
    with pytest.raises(Invalid):
        await (await identity.operator()).CreateTenant(request)
    with pytest.raises(NotFound):
        await identity.set_sender("ten_none", territory="IE")


async def test_a_customers_own_key_does_not_say_where_it_stands_in_the_law(identity: Identity):
    tenant_id = await identity.tenant()
    caller = identity.stub(await identity.caller((await identity.key(tenant_id)).secret))
    sender = identity_pb2.SenderIdentity(territory="US")
    with pytest.raises(Denied):
        await caller.SetSenderIdentity(identity_pb2.SetSenderIdentityRequest(tenant_id=tenant_id, sender_identity=sender))


async def test_the_operators_command_changes_what_is_said_and_leaves_the_rest(identity: Identity):
    tenant_id = await identity.tenant()
    await identity.set_sender(tenant_id, "1 Main St", territory="IE", contact="post@acme.example")

    def channel(token: Callable[[], bytes]) -> MeshChannel:
        return identity.mesh.running.channel("identity", as_service="operator", token=token)

    after = await changed(channel, tenant_id, {"contact": "", "time_zone": "Europe/Dublin"})
    stands = after.sender_identity
    assert (stands.territory, stands.time_zone, stands.contact, after.postal_address) == ("IE", "Europe/Dublin", "", "1 Main St")
    assert (await changed(channel, tenant_id, {"postal_address": "2 Main St"})).postal_address == "2 Main St"
    assert (await changed(channel, tenant_id, {})).version == 4


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


async def test_keys_and_tenants_survive_a_restart(tmp_path: Path):
    async with started(tmp_path) as identity:
        secret = (await identity.key(await identity.tenant())).secret
        before = await identity.authenticate(secret)
    async with started(tmp_path) as identity:
        assert (await identity.authenticate(secret)).signed.key_id == before.signed.key_id
        assert (await identity.verified(before)).tenant_id == before.context.tenant_id


def _contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


async def _until(condition: Callable[[], bool]) -> None:
    async with patience():
        while not condition():
            await asyncio.sleep(0.01)
