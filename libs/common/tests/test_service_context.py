from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw_common.caller import current
from postlaw_common.errors import Unavailable
from postlaw_common.service_context import ServiceContexts
from postlaw_common.testing.mesh import fake, mesh


class Identity:
    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    async def IssueServiceContext(self, request: identity_pb2.IssueServiceContextRequest, context: Any) -> identity_pb2.IssuedContext:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        await asyncio.sleep(0.01)
        actor = context_pb2.Actor(kind=context_pb2.Actor.KIND_SERVICE, id="consent")
        issued = identity_pb2.IssuedContext(
            signed=context_pb2.SignedContext(key_id=str(self.asked)),
            context=context_pb2.CallerContext(tenant_id=request.tenant_id, actor=actor, scopes=request.scopes),
        )
        issued.context.expires_at.FromMicroseconds(300_000_000)
        return issued


@pytest.fixture
async def contexts(tmp_path: Path):
    identity, now = Identity(), [0]
    async with mesh(tmp_path, [fake("identity", add_IdentityServiceServicer_to_server, identity)]) as m:
        yield identity, now, ServiceContexts(m.channel("identity", as_service="consent"), "consent", now_us=lambda: now[0])


async def test_many_that_begin_at_once_share_one_question_and_everyone_acts_as_the_service(contexts: Any):
    identity, _, contexts = contexts

    async def work() -> str:
        async with contexts.acting("ten_1", scopes=["decisions:read"], purpose="sweep"):
            return str(current().actor)

    assert set(await asyncio.gather(*(work() for _ in range(20)))) == {"service:consent"}
    assert identity.asked == 1


async def test_while_identity_is_away_a_known_context_serves_and_a_new_one_is_unavailable(contexts: Any):
    identity, now, contexts = contexts
    known = await contexts.get("ten_1")
    identity.away = True
    now[0] = 239_000_000
    assert await contexts.get("ten_1") is known
    now[0] = 241_000_000
    with pytest.raises(Unavailable):
        await contexts.get("ten_1")
    identity.away = False
    assert (await contexts.get("ten_1")).signed != known.signed


async def test_one_tenants_context_never_serves_another(contexts: Any):
    _, _, contexts = contexts
    assert (await contexts.get("ten_1")).tenant_id == "ten_1"
    assert (await contexts.get("ten_2")).tenant_id == "ten_2"
