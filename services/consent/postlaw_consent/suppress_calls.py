"""gRPC to use case, of suppressions."""

from __future__ import annotations

from typing import Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.domain.event import ADDRESS_KEY_BYTES, Actor
from postlaw_consent.use_cases.suppress_many import Suppression, SuppressMany


class SuppressCalls:
    def __init__(self, suppress_many: SuppressMany) -> None:
        self._suppress_many = suppress_many

    async def SuppressMany(self, request: pb.SuppressManyRequest, context: Any) -> pb.SuppressManyResponse:
        keys = list(request.address_keys)
        if len(set(keys)) != len(keys) or any(len(key) != ADDRESS_KEY_BYTES for key in keys):
            problem = f"must be of {ADDRESS_KEY_BYTES} bytes each, and name each person once"
            raise Invalid("Name each person once, by an address key.", fields=[FieldError("address_keys", problem)])
        caller = current()
        behalf = caller.on_behalf_of
        suppression = Suppression(
            tenant_id=caller.tenant_id,
            actor=Actor(caller.actor.kind, caller.actor.id),
            on_behalf_of=Actor(behalf.kind, behalf.id) if behalf else None,
            source=request.source,
            sealed_attestation=request.sealed_attestation,
            idempotency_key=request.idempotency_key,
        )
        already = await self._suppress_many(suppression, keys)
        return pb.SuppressManyResponse(already_suppressed=[place for place, key in enumerate(keys) if key in already])
