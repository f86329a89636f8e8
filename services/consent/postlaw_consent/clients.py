"""The services that consent asks: sending, whether the mail has stopped; subscribers, who is meant by an address or an id; identity,
where a customer stands in the law; audit, that the log has an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import grpc.aio

from postlaw.audit.v1 import audit_pb2
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_consent.domain.message import UNKNOWN_SENDER, Sender
from postlaw_consent.domain.receipt import Controller
from postlaw_consent.domain.scope import Scope
from postlaw_consent.use_cases.get_receipt import Proof
from postlaw_consent.use_cases.withdraw_consent import Stop
from postlaw_consent.wire import scope_to_wire
from postlaw_law.words import SenderKind

if TYPE_CHECKING:
    from postlaw.audit.v1.audit_pb2_grpc import AuditServiceAsyncStub
    from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceAsyncStub
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub
    from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceAsyncStub

Channel = Callable[[str], grpc.aio.Channel]

_PROOF_WITHIN_S = 3.0  # of a caller's ten: a receipt without proof is one, too


class Sending:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @cached_property
    def _stub(self) -> SendingServiceAsyncStub:
        return SendingServiceStub(self._channel("sending"))

    async def await_stopped(
        self, tenant_id: str, address_key: bytes, scope: Scope, partition: int, offset: int, generation: str, *, timeout: float
    ) -> Stop:
        """Raises whatever the call raises."""
        answer = await self._stub.AwaitStopped(
            sending_pb2.AwaitStoppedRequest(
                tenant_id=tenant_id,
                address_key=address_key,
                scope=scope_to_wire(scope),
                partition=partition,
                offset=offset,
                generation=generation,
            ),
            timeout=timeout,
        )
        # Whatever is not plainly "stopped" is not stopped: an answer of a later version included.
        outcome = "stopped" if answer.outcome == consent_pb2.OUTCOME_STOPPED else "recorded"
        until_us = answer.relay_until.ToMicroseconds() if answer.HasField("relay_until") else 0
        return Stop(outcome, answer.epoch, answer.relay_may_hold, until_us)


class Subscribers:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @cached_property
    def _stub(self) -> SubscribersServiceAsyncStub:
        return SubscribersServiceStub(self._channel("subscribers"))

    async def by_address(self, address: str, *, opening: bool = False) -> bytes:
        """The address_key, also of an address that nobody here has. `opening`: something is to be recorded that opens, so whoever a
        suppression list names by a digest is stopped first. Raises PostlawError."""
        request = subscribers_pb2.ResolvePersonRequest(address=address, opening=opening)
        return (await self._stub.ResolvePerson(request)).address_key

    async def by_subscriber(self, subscriber_id: str) -> bytes:
        """The address_key. Raises NotFound and every other PostlawError."""
        return (await self._stub.ResolvePerson(subscribers_pb2.ResolvePersonRequest(subscriber_id=subscriber_id))).address_key

    async def addresses(self, address_keys: Sequence[bytes]) -> list[str]:
        """Of 1,000 at most, in the order asked; "" where nobody is known by it any more. Raises PostlawError."""
        return list((await self._stub.GetAddresses(subscribers_pb2.GetAddressesRequest(address_keys=address_keys))).addresses)


class Identity:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @cached_property
    def _stub(self) -> IdentityServiceAsyncStub:
        return IdentityServiceStub(self._channel("identity"))

    async def sender(self, tenant_id: str) -> Sender:
        """Where the customer stands in the law. Raises NotFound and every other PostlawError."""
        stands = (await self._stub.GetTenant(identity_pb2.GetTenantRequest(tenant_id=tenant_id))).sender_identity
        return Sender(
            territory=stands.territory or UNKNOWN_SENDER.territory,
            kind=cast("SenderKind", stands.kind or UNKNOWN_SENDER.kind),
            zone=ZoneInfo(stands.time_zone) if stands.time_zone else UNKNOWN_SENDER.zone,
        )

    async def controller(self, tenant_id: str) -> Controller:
        """The customer as a receipt names it. Raises NotFound and every other PostlawError."""
        tenant = await self._stub.GetTenant(identity_pb2.GetTenantRequest(tenant_id=tenant_id))
        stands = tenant.sender_identity
        return Controller(tenant_id, tenant.name, tenant.postal_address, stands.territory, stands.contact)


class Audit:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @cached_property
    def _stub(self) -> AuditServiceAsyncStub:
        return AuditServiceStub(self._channel("audit"))

    async def proof(self, event_id: str) -> Proof:
        """In the caller's name. Raises NotFound while the log does not have the event, and every other PostlawError."""
        proof = await self._stub.GetEventProof(audit_pb2.GetEventProofRequest(event_id=event_id), timeout=_PROOF_WITHIN_S)
        return Proof(
            entry=proof.entry,
            data=audit_pb2.Entry.FromString(proof.entry).data,
            index=proof.index,
            tree_size=proof.checkpoint.size,
            path=tuple(proof.hashes),
            checkpoint=proof.checkpoint.note,
            cosigned=bool(proof.checkpoint.witnesses),
            key_notes=tuple(proof.key_notes),
        )
