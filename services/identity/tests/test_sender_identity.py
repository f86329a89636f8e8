"""Where a customer stands in the law: who may say so, what is refused, and that each change is announced."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.errors import Denied, Invalid, NotFound
from postlaw_common.rpc.channel import MeshChannel
from postlaw_identity.commands import changed

from .identity_in_a_mesh import Identity


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
