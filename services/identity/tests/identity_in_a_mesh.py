"""Identity as others meet it: over mutual TLS, behind the method table; and the operator's way in."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.caller import Caller
from postlaw_common.events import Event, from_record
from postlaw_common.rpc.context_token import ContextVerifier
from postlaw_common.rpc.signing_keys import keys_of_identity
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_identity.domain import scopes
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
