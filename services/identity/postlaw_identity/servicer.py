"""gRPC → use cases. Who may call what stands in the contract's options and is checked before anything here runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc.aio

from postlaw.identity.v1 import identity_pb2 as pb
from postlaw_common.caller import current, maybe_current
from postlaw_common.rpc.door import peer_service
from postlaw_identity import wire
from postlaw_identity.use_cases.api_keys import ListApiKeys, RevokeApiKey
from postlaw_identity.use_cases.create_api_key import CreateApiKey
from postlaw_identity.use_cases.issue_context import AuthenticateApiKey, IssueOperatorContext, IssueServiceContext
from postlaw_identity.use_cases.rotate_signing_key import ListSigningKeys, RotateSigningKey
from postlaw_identity.use_cases.tenants import CreateTenant, GetTenant, SetSenderIdentity

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class IdentityServicer:
    create_tenant: CreateTenant
    get_tenant: GetTenant
    set_sender_identity: SetSenderIdentity
    create_api_key: CreateApiKey
    list_api_keys: ListApiKeys
    revoke_api_key: RevokeApiKey
    authenticate_api_key: AuthenticateApiKey
    issue_service_context: IssueServiceContext
    issue_operator_context: IssueOperatorContext
    rotate_signing_key: RotateSigningKey
    list_signing_keys: ListSigningKeys

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Context) -> pb.Tenant:
        sender = wire.sender_identity_of(request.sender_identity)
        return wire.tenant_message(await self.create_tenant(request.name, request.postal_address, sender))

    async def SetSenderIdentity(self, request: pb.SetSenderIdentityRequest, context: Context) -> pb.Tenant:
        sender = wire.sender_identity_of(request.sender_identity)
        return wire.tenant_message(await self.set_sender_identity(request.tenant_id, request.postal_address, sender))

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.Tenant:
        return wire.tenant_message(await self.get_tenant(maybe_current(), request.tenant_id))

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        expires_us = request.expires_at.ToMicroseconds() if request.HasField("expires_at") else 0
        key, secret = await self.create_api_key(
            current(), request.tenant_id, request.name, request.scopes, expires_us, request.idempotency_key
        )
        return pb.CreateApiKeyResponse(api_key=wire.api_key_message(key), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        keys, next = await self.list_api_keys(current(), request.page_size, request.page_token)
        return pb.ListApiKeysResponse(api_keys=map(wire.api_key_message, keys), next_page_token=next)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.ApiKey:
        return wire.api_key_message(await self.revoke_api_key(current(), request.api_key_id))

    async def AuthenticateApiKey(self, request: pb.AuthenticateApiKeyRequest, context: Context) -> pb.IssuedContext:
        return wire.issued_message(await self.authenticate_api_key(request.secret))

    async def IssueServiceContext(self, request: pb.IssueServiceContextRequest, context: Context) -> pb.IssuedContext:
        on_behalf_of = wire.actor_of(request.on_behalf_of)
        issued = await self.issue_service_context(peer_service(context), request.tenant_id, on_behalf_of, request.scopes, request.purpose)
        return wire.issued_message(issued)

    async def IssueOperatorContext(self, request: pb.IssueOperatorContextRequest, context: Context) -> pb.IssuedContext:
        return wire.issued_message(await self.issue_operator_context(request.tenant_id))

    async def RotateSigningKey(self, request: pb.RotateSigningKeyRequest, context: Context) -> pb.ListSigningKeysResponse:
        return wire.signing_keys_message(await self.rotate_signing_key())

    async def ListSigningKeys(self, request: pb.ListSigningKeysRequest, context: Context) -> pb.ListSigningKeysResponse:
        return wire.signing_keys_message(await self.list_signing_keys())
