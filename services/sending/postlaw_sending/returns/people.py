"""Whose message came back, and consent's word that they are mailed no more: asked in the name of the campaign's customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.errors import NotFound
from postlaw_sending.campaigns.contexts import Contexts

_SCOPES = ("consents:write",)
_PURPOSE = "returned mail"


@dataclass(frozen=True, slots=True)
class Person:
    """`subscriber_id`: "" where their address has changed since."""

    address_key: bytes
    subscriber_id: str


NOBODY = Person(b"", "")


class People:
    """`channel`: the platform's. `contexts` are made once the loop runs."""

    def __init__(self, channel: Callable[[str], grpc.aio.Channel], contexts: Callable[[], Contexts]) -> None:
        self._channel = channel
        self._contexts = contexts

    async def find(self, tenant_id: str, beginning: bytes) -> Person:
        """By the beginning of their address key; NOBODY where they were deleted. Raises Unavailable and every other PostlawError."""
        async with self._contexts().acting(tenant_id, scopes=_SCOPES, purpose=_PURPOSE):
            try:
                found = await SubscribersServiceStub(self._channel("subscribers")).ResolvePerson(
                    subscribers.ResolvePersonRequest(address_key_beginning=beginning)
                )
            except NotFound:
                return NOBODY
        return Person(found.address_key, found.subscriber_id)

    async def bounced(self, tenant_id: str, person: Person, key: str) -> None:
        """No mail of this customer goes to that address any more. A repeat under this key changes nothing. Raises Unavailable and
        every other PostlawError."""
        async with self._contexts().acting(tenant_id, scopes=_SCOPES, purpose=_PURPOSE):
            await ConsentServiceStub(self._channel("consent")).WithdrawConsent(
                consent.WithdrawConsentRequest(
                    address_key=person.address_key,
                    scope=consent.Scope(everything=True),
                    kind=consent.ConsentEvent.KIND_BOUNCED,
                    idempotency_key=key,
                )
            )
