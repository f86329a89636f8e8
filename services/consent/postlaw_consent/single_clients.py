"""Single messages, as sending is asked for them in consent's own name."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.service_context import ServiceContexts
from postlaw_consent.clients import Channel
from postlaw_consent.use_cases.single_mail import Mail
from postlaw_consent.wire import scope_to_wire

if TYPE_CHECKING:
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub


class SingleClient:
    def __init__(self, channel: Channel, contexts: ServiceContexts) -> None:
        self._channel = channel
        self._contexts = contexts

    async def send(self, mail: Mail) -> None:
        """Raises PostlawError."""
        sender, decisions = mail.sender, mail.decisions
        request = sending_pb2.SendMessageRequest(
            idempotency_key=mail.key,
            template=sending_pb2.SendMessageRequest.Template.Value(f"TEMPLATE_{mail.template.upper()}"),
            language=mail.language,
            sender=sending_pb2.Sender(name=sender.name, address=sender.address, postal_address=sender.postal_address),
            scope=scope_to_wire(mail.belongs.scope),
            brand=mail.belongs.brand,
            address_key=mail.address_key,
            address=mail.address,
            list_name=mail.list_name,
            action_url=mail.action_url,
            opt_out_token=mail.opt_out_token,
            consent_offset=decisions.consent_offset,
            generation=decisions.generation,
            law_version=decisions.law_version,
            decided_at_us=decisions.decided_at_us,
            expires_at_us=decisions.expires_at_us,
            inputs_hash=decisions.inputs,
        )
        async with self._contexts.acting(mail.tenant_id, None, ("messages:send",), "single message"):
            await self._sending.SendMessage(request)

    @cached_property
    def _sending(self) -> SendingServiceAsyncStub:
        return SendingServiceStub(self._channel("sending"))
