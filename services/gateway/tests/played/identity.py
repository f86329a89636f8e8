"""Identity, as the gateway calls it: keys that a test makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from postlaw.identity.v1 import identity_pb2
from postlaw_common.errors import Unauthenticated
from postlaw_common.ids import new_id
from postlaw_common.testing.mesh import Mesh

TENANT = "ten_" + "0" * 26
EVERYTHING = (
    "lists:read", "lists:write", "subscribers:read", "subscribers:write", "consents:read", "consents:write", "campaigns:read",
    "campaigns:write", "campaigns:launch", "audit:read", "keys:read", "keys:write",
    "suppressions:approve", "suppressions:export", "templates:read", "templates:write", "templates:approve",
    "reports:read", "reports:write",
)  # fmt: skip


@dataclass
class Key:
    tenant_id: str = TENANT
    scopes: tuple[str, ...] = EVERYTHING
    credential_id: str = field(default_factory=lambda: new_id("key"))
    refusal: str = ""
    lives_s: float = 3600


class FakeIdentity:
    def __init__(self) -> None:
        self.mesh: Mesh | None = None
        self.keys: dict[str, Key] = {}
        self.asked = 0
        self.before_answer: Any = None
        self.down = False
        self.created: list[identity_pb2.CreateApiKeyRequest] = []
        self.name = "Möbel <Maier>"
        self.contact = "hello@maier.example"

    async def AuthenticateApiKey(self, request: Any, context: Any) -> identity_pb2.IssuedContext:
        self.asked += 1
        if self.down:
            raise RuntimeError("identity is down")
        key = self.keys.get(request.secret)
        if key is None:
            raise Unauthenticated("This API key is not known.", type="unknown-key")
        if key.refusal:
            raise Unauthenticated("No.", type=key.refusal)
        assert self.mesh is not None
        made = self.mesh.caller(key.tenant_id, key.scopes, credential_id=key.credential_id, lives_s=key.lives_s)
        answer = identity_pb2.IssuedContext()
        answer.signed.ParseFromString(made.signed)
        answer.context.ParseFromString(answer.signed.context)
        if self.before_answer is not None:
            await self.before_answer()
        return answer

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()

    async def GetTenant(self, request: Any, context: Any) -> identity_pb2.Tenant:
        if self.down:
            raise RuntimeError("identity is down")
        stands = identity_pb2.SenderIdentity(contact=self.contact)
        return identity_pb2.Tenant(tenant_id=request.tenant_id, name=self.name, postal_address="1 High St", sender_identity=stands)

    async def CreateApiKey(self, request: Any, context: Any) -> identity_pb2.CreateApiKeyResponse:
        self.created.append(request)
        made = identity_pb2.ApiKey(api_key_id=new_id("key"), name=request.name, scopes=request.scopes, version=1)
        return identity_pb2.CreateApiKeyResponse(api_key=made, secret=f"pl_live_secret{len(self.created)}")
