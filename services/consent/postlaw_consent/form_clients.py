"""What a sign-up needs of subscribers and sending, in consent's own name for the customer whose form it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import grpc.aio

from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.service_context import ServiceContexts
from postlaw_consent.use_cases.sign_up import Mail, Person
from postlaw_consent.wire import scope_to_wire

if TYPE_CHECKING:
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub
    from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceAsyncStub

Channel = Callable[[str], grpc.aio.Channel]

_PURPOSE = "sign-up"


class FormClients:
    """`channel`: the platform's. Channels are made once the loop runs. Each call raises PostlawError."""

    def __init__(self, channel: Channel, now_us: Callable[[], int]) -> None:
        self._channel = channel
        self._now_us = now_us

    async def list_named(self, tenant_id: str, list_id: str) -> tuple[str, str]:
        """Its name and its brand."""
        async with self._contexts.acting(tenant_id, None, ("lists:read",), _PURPOSE):
            found = await self._subscribers.GetList(subscribers_pb2.GetListRequest(list_id=list_id))
        return found.name, found.brand

    async def resolve(self, tenant_id: str, address: str, profile_evidence: bytes = b"") -> Person:
        request = subscribers_pb2.ResolvePersonRequest(address=address, profile_evidence=profile_evidence, opening=True)
        async with self._contexts.acting(tenant_id, None, (), _PURPOSE):
            resolved = await self._subscribers.ResolvePerson(request)
        return Person(resolved.address_key, resolved.address, resolved.sealed_profile_evidence)

    async def join(self, tenant_id: str, address: str, list_id: str) -> None:
        async with self._contexts.acting(tenant_id, None, ("subscribers:write",), _PURPOSE):
            await self._subscribers.JoinList(subscribers_pb2.JoinListRequest(address=address, list_id=list_id))

    async def send(self, mail: Mail) -> None:
        form, decisions = mail.form, mail.decisions
        request = sending_pb2.SendMessageRequest(
            idempotency_key=mail.key,
            template=sending_pb2.SendMessageRequest.TEMPLATE_CONFIRM_SIGN_UP,
            language=mail.language,
            sender=sending_pb2.Sender(name=form.sender.name, address=form.sender.address, postal_address=form.sender.postal_address),
            scope=scope_to_wire(form.scope),
            brand=form.brand,
            address_key=mail.person.address_key,
            address=mail.person.address,
            list_name=form.list_name,
            action_url=mail.action_url,
            opt_out_token=mail.opt_out_token,
            consent_offset=decisions.consent_offset,
            generation=decisions.generation,
            law_version=decisions.law_version,
            decided_at_us=decisions.decided_at_us,
            expires_at_us=decisions.expires_at_us,
            inputs_hash=decisions.inputs,
        )
        async with self._contexts.acting(form.tenant_id, None, ("messages:send",), _PURPOSE):
            await self._sending.SendMessage(request)

    @cached_property
    def _subscribers(self) -> SubscribersServiceAsyncStub:
        return SubscribersServiceStub(self._channel("subscribers"))

    @cached_property
    def _sending(self) -> SendingServiceAsyncStub:
        return SendingServiceStub(self._channel("sending"))

    @cached_property
    def _contexts(self) -> ServiceContexts:
        return ServiceContexts(self._channel("identity"), "consent", now_us=self._now_us)
