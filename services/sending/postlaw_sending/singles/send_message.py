"""One message to one person, on a decision that consent has just made (gRPC SendMessage)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postlaw_common.caller import current
from postlaw_common.errors import Conflict, FieldError, Invalid, Unavailable
from postlaw_common.ids import new_id
from postlaw_common.placement import Placement
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.singles.domain import SentSingle
from postlaw_sending.singles.singles import Singles
from postlaw_sending.singles.wire import Request, envelope, job


class SendMessage:
    """`contact`: what a customer's messages name beside its postal address. `may_send_from`: see MoveCampaign. `fallback`: the platform's
    own address, from which a message goes whose sender's domain is not verified; "": it does not go."""

    def __init__(
        self,
        singles: Singles,
        contact: Callable[[str], Awaitable[str]],
        may_send_from: SenderCheck | None,
        fallback: str,
        placement: Callable[[], Placement],
        generation: Callable[[], str],
        now_us: Callable[[], int],
    ) -> None:
        self._singles = singles
        self._contact = contact
        self._may_send_from = may_send_from
        self._fallback = fallback
        self._placement = placement
        self._generation = generation
        self._now_us = now_us

    async def __call__(self, request: Request) -> str:
        """Its id, once it is durable. Raises Invalid, Conflict (the sender's domain is not verified), Unavailable, StoreUnavailable: after
        the latter three asking again is safe."""
        tenant_id = current().tenant_id
        known = await self._singles.find(tenant_id, request.idempotency_key)
        if known is not None:
            return known
        if request.generation != self._generation():
            raise Unavailable("Consent decides on topics of another generation: start it, and sending, again.")
        if request.expires_at_us <= self._now_us():
            raise Invalid("The decision has ended.", fields=[FieldError("expires_at_us", "lies in the past")])
        message_id = new_id("sgl")
        address = await self._address(tenant_id, request.sender.address)
        text = job(request, message_id, address, await self._contact(tenant_id))
        partition = self._placement().partition(tenant_id, request.address_key)
        sent = SentSingle(tenant_id, message_id, request.brand, request.address_key)
        return await self._singles.send(sent, request.idempotency_key, partition, envelope(request, tenant_id), text)

    async def _address(self, tenant_id: str, address: str) -> str:
        """What it comes from. Raises Conflict, Invalid."""
        if self._may_send_from is not None:
            try:
                await self._may_send_from(tenant_id, address)
            except (Conflict, Invalid):
                if not self._fallback:
                    raise
                return self._fallback
        return address
