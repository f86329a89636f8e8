"""gRPC to use case, of suppressions."""

from __future__ import annotations

from typing import Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.committing import Request
from postlaw_consent.domain.event import ADDRESS_KEY_BYTES, Actor
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM
from postlaw_consent.use_cases.lift_platform_stop import LiftPlatformStop
from postlaw_consent.use_cases.suppress_many import Suppression, SuppressMany
from postlaw_consent.use_cases.withdraw_consent import WithdrawConsent
from postlaw_consent.wire import receipt_to_wire


class SuppressCalls:
    def __init__(self, suppress_many: SuppressMany, withdraw: WithdrawConsent, lift: LiftPlatformStop) -> None:
        self._suppress_many = suppress_many
        self._withdraw = withdraw
        self._lift = lift

    async def SuppressMany(self, request: pb.SuppressManyRequest, context: Any) -> pb.SuppressManyResponse:
        keys = list(request.address_keys)
        if len(set(keys)) != len(keys) or any(len(key) != ADDRESS_KEY_BYTES for key in keys):
            problem = f"must be of {ADDRESS_KEY_BYTES} bytes each, and name each person once"
            raise Invalid("Name each person once, by an address key.", fields=[FieldError("address_keys", problem)])
        tenant_id, actor, on_behalf_of = _caller()
        suppression = Suppression(
            tenant_id=tenant_id,
            actor=actor,
            on_behalf_of=on_behalf_of,
            source=request.source,
            sealed_attestation=request.sealed_attestation,
            idempotency_key=request.idempotency_key,
            scope=PLATFORM if request.platform else EVERYTHING,
        )
        already = await self._suppress_many(suppression, keys)
        return pb.SuppressManyResponse(already_suppressed=[place for place, key in enumerate(keys) if key in already])

    async def StopForPlatform(self, request: pb.PlatformStopRequest, context: Any) -> pb.Withdrawal:
        tenant_id, actor, on_behalf_of = _caller()
        address_key = _address_key(request)
        asked = Request(tenant_id, address_key, PLATFORM, "api", actor, on_behalf_of, source=request.source)
        return receipt_to_wire(await self._withdraw(asked))

    async def LiftForPlatform(self, request: pb.PlatformStopRequest, context: Any) -> pb.PlatformStopLifted:
        tenant_id, actor, on_behalf_of = _caller()
        return pb.PlatformStopLifted(lifted=await self._lift(tenant_id, _address_key(request), request.source, actor, on_behalf_of))


def _caller() -> tuple[str, Actor, Actor | None]:
    """(tenant, who acts, on whose behalf)"""
    caller = current()
    behalf = caller.on_behalf_of
    return caller.tenant_id, Actor(caller.actor.kind, caller.actor.id), Actor(behalf.kind, behalf.id) if behalf else None


def _address_key(request: pb.PlatformStopRequest) -> bytes:
    if len(request.address_key) != ADDRESS_KEY_BYTES:
        raise Invalid("That is no address key.", fields=[FieldError("address_key", f"must have {ADDRESS_KEY_BYTES} bytes")])
    return request.address_key
