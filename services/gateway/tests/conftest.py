"""The gateway over real gRPC, with plain servicers in the other services' places, and an HTTP client without a network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from postlaw.audit.v1 import audit_pb2
from postlaw.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_common.events import new_event, to_record
from postlaw_common.ids import new_id
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import PATIENCE_S
from postlaw_gateway.service import GatewaySettings, build
from postlaw_gateway.wire import IDENTITY_TOPIC, REVOKED_TYPE
from services.gateway.tests.played.audit import FakeAudit
from services.gateway.tests.played.consent import FakeConsent
from services.gateway.tests.played.identity import TENANT, FakeIdentity, Key
from services.gateway.tests.played.sending import FakeSending
from services.gateway.tests.played.subscribers import FakeSubscribers


@dataclass
class Door:
    """The gateway, whom it calls, and a client. `secret` is a key with every scope."""

    http: httpx.AsyncClient
    mesh: Mesh
    identity: FakeIdentity
    subscribers: FakeSubscribers
    consent: FakeConsent
    sending: FakeSending
    secret: str

    def key(self, **fields: Any) -> dict[str, str]:
        """The header of a new key."""
        secret = new_id("pl_live")
        self.identity.keys[secret] = Key(**fields)
        return {"authorization": f"Bearer {secret}"}

    async def publish_revocation(self, credential_id: str) -> None:
        data = identity_pb2.ApiKeyRevoked(api_key=identity_pb2.ApiKey(api_key_id=credential_id)).SerializeToString()
        event = new_event(REVOKED_TYPE, data, source="identity", subject=credential_id, sequence=2, tenant_id=TENANT)
        await self.mesh.running.backing.bus.publish([to_record(event, IDENTITY_TOPIC, 3)])

    async def security_events(self, count: int) -> list[audit_pb2.AccessRefused]:
        """The first so many, once they are there."""
        bus = self.mesh.running.backing.bus
        reader = await bus.reader()
        await reader.assign({("postlaw.gateway.security.v1", partition): 0 for partition in range(bus.partitions)})
        found: list[audit_pb2.AccessRefused] = []
        ends = time.monotonic() + PATIENCE_S
        while len(found) < count and time.monotonic() < ends:
            found += [audit_pb2.AccessRefused.FromString(record.value) for record in await reader.read(timeout=0.2)]
        await reader.close()
        return found


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    identity, subscribers, consent, sending, audit = FakeIdentity(), FakeSubscribers(), FakeConsent(), FakeSending(), FakeAudit()
    builders = [
        lambda platform: build(platform, GatewaySettings()),
        fake("identity", add_IdentityServiceServicer_to_server, identity),
        fake("subscribers", add_SubscribersServiceServicer_to_server, subscribers),
        fake("consent", add_ConsentServiceServicer_to_server, consent),
        fake("sending", add_SendingServiceServicer_to_server, sending),
        fake("audit", add_AuditServiceServicer_to_server, audit),
    ]
    async with mesh(tmp_path, builders, public_url="https://mail.example") as running:
        identity.mesh = running
        app = running.running.services["gateway"].http_app
        secret = new_id("pl_live")
        identity.keys[secret] = Key()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(transport=transport, base_url="https://mail.example", headers=headers) as http:
            yield Door(http, running, identity, subscribers, consent, sending, secret)
