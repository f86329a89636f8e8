"""What a sign-up needs of subscribers, in consent's own name for the customer whose form it is."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.service_context import ServiceContexts
from postlaw_consent.clients import Channel
from postlaw_consent.use_cases.sign_up import Person

if TYPE_CHECKING:
    from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceAsyncStub

_PURPOSE = "sign-up"


class FormClients:
    """`channel`: the platform's. Channels are made once the loop runs. Each call raises PostlawError."""

    def __init__(self, channel: Channel, contexts: ServiceContexts) -> None:
        self._channel = channel
        self._contexts = contexts

    async def list_named(self, tenant_id: str, list_id: str) -> tuple[str, str]:
        """Its name and its brand."""
        async with self._contexts.acting(tenant_id, None, ("lists:read",), _PURPOSE):
            found = await self._subscribers.GetList(subscribers_pb2.GetListRequest(list_id=list_id))
        return found.name, found.brand

    async def resolve(self, tenant_id: str, address: str, profile_evidence: bytes = b"", *, opening: bool = True) -> Person:
        request = subscribers_pb2.ResolvePersonRequest(address=address, profile_evidence=profile_evidence, opening=opening)
        async with self._contexts.acting(tenant_id, None, (), _PURPOSE):
            resolved = await self._subscribers.ResolvePerson(request)
        return Person(resolved.address_key, resolved.address, resolved.sealed_profile_evidence)

    async def join(self, tenant_id: str, address: str, list_id: str) -> str:
        async with self._contexts.acting(tenant_id, None, ("subscribers:write",), _PURPOSE):
            joined = await self._subscribers.JoinList(subscribers_pb2.JoinListRequest(address=address, list_id=list_id))
        return joined.language

    @cached_property
    def _subscribers(self) -> SubscribersServiceAsyncStub:
        return SubscribersServiceStub(self._channel("subscribers"))
