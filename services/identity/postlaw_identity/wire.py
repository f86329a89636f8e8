"""Identity's dataclasses as protobuf messages and back."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw_common.caller import Actor
from postlaw_identity.domain.announcements import (
    Announcement,
    ApiKeyCreated,
    ApiKeyRevoked,
    SenderIdentityChanged,
    SigningKeyRotated,
    TenantCreated,
)
from postlaw_identity.domain.api_key import ApiKey
from postlaw_identity.domain.key_ring import SigningKey
from postlaw_identity.domain.tenant import BUSINESS, SenderIdentity, Tenant
from postlaw_identity.use_cases.issue_context import Issued

EVENTS = "postlaw.identity.events.v1"

_KINDS = {
    context_pb2.Actor.KIND_API_KEY: "api_key",
    context_pb2.Actor.KIND_USER: "user",
    context_pb2.Actor.KIND_SERVICE: "service",
    context_pb2.Actor.KIND_PERSON: "person",
    context_pb2.Actor.KIND_OPERATOR: "operator",
}


def tenant_message(tenant: Tenant) -> identity_pb2.Tenant:
    return identity_pb2.Tenant(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        postal_address=tenant.postal_address,
        created_at=_timestamp(tenant.created_us),
        version=tenant.version,
        sender_identity=sender_identity_message(tenant.sender_identity),
    )


def tenant_of(message: identity_pb2.Tenant) -> Tenant:
    return Tenant(
        tenant_id=message.tenant_id,
        name=message.name,
        postal_address=message.postal_address,
        created_us=message.created_at.ToMicroseconds(),
        sender_identity=sender_identity_of(message.sender_identity),
        version=message.version,
    )


def sender_identity_message(sender: SenderIdentity) -> identity_pb2.SenderIdentity:
    return identity_pb2.SenderIdentity(territory=sender.territory, kind=sender.kind, time_zone=sender.time_zone, contact=sender.contact)


def sender_identity_of(message: identity_pb2.SenderIdentity) -> SenderIdentity:
    return SenderIdentity(message.territory, message.kind or BUSINESS, message.time_zone, message.contact)


def api_key_message(key: ApiKey) -> identity_pb2.ApiKey:
    return identity_pb2.ApiKey(
        api_key_id=key.api_key_id,
        tenant_id=key.tenant_id,
        name=key.name,
        scopes=key.scopes,
        prefix=key.prefix,
        created_at=_timestamp(key.created_us),
        expires_at=_timestamp(key.expires_us),
        revoked_at=_timestamp(key.revoked_us),
        version=key.version,
    )


def api_key_of(message: identity_pb2.ApiKey) -> ApiKey:
    return ApiKey(
        api_key_id=message.api_key_id,
        tenant_id=message.tenant_id,
        name=message.name,
        scopes=tuple(message.scopes),
        prefix=message.prefix,
        created_us=message.created_at.ToMicroseconds(),
        expires_us=message.expires_at.ToMicroseconds(),
        revoked_us=message.revoked_at.ToMicroseconds(),
        version=message.version,
    )


def signing_key_message(key: SigningKey) -> identity_pb2.SigningKey:
    """The public part. The wrapped seed never leaves identity."""
    return identity_pb2.SigningKey(
        key_id=key.key_id,
        public_key=key.public_key,
        not_before=_timestamp(key.not_before_us),
        not_after=_timestamp(key.not_after_us),
    )


def signing_keys_message(keys: Iterable[SigningKey]) -> identity_pb2.ListSigningKeysResponse:
    return identity_pb2.ListSigningKeysResponse(signing_keys=map(signing_key_message, keys))


def issued_message(issued: Issued) -> identity_pb2.IssuedContext:
    signed = context_pb2.SignedContext.FromString(issued.token)
    return identity_pb2.IssuedContext(signed=signed, context=context_pb2.CallerContext.FromString(signed.context))


def actor_of(message: context_pb2.Actor) -> Actor | None:
    """None where the message names nobody."""
    kind = _KINDS.get(message.kind)
    return Actor(kind, message.id) if kind else None


def encode(announcement: Announcement) -> tuple[str, bytes]:
    """The event's CloudEvents type and its bytes."""
    message: (
        identity_pb2.TenantCreated
        | identity_pb2.SenderIdentityChanged
        | identity_pb2.ApiKeyCreated
        | identity_pb2.ApiKeyRevoked
        | identity_pb2.SigningKeyRotated
    )
    match announcement:
        case TenantCreated(tenant):
            message = identity_pb2.TenantCreated(tenant=tenant_message(tenant))
        case SenderIdentityChanged(before, after):
            message = identity_pb2.SenderIdentityChanged(before=tenant_message(before), after=tenant_message(after))
        case ApiKeyCreated(key):
            message = identity_pb2.ApiKeyCreated(api_key=api_key_message(key))
        case ApiKeyRevoked(key):
            message = identity_pb2.ApiKeyRevoked(api_key=api_key_message(key))
        case SigningKeyRotated(key):
            message = identity_pb2.SigningKeyRotated(signing_key=signing_key_message(key))
    return f"postlaw.identity.{type(announcement).__name__}", message.SerializeToString()


def _timestamp(time_us: int) -> Timestamp | None:
    if not time_us:
        return None
    timestamp = Timestamp()
    timestamp.FromMicroseconds(time_us)
    return timestamp
