"""What links to people's details need: of subscribers in the person's own name, of sending and identity the sender to write as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.caller import Actor
from postlaw_common.errors import NotFound
from postlaw_common.service_context import ServiceContexts
from postlaw_consent.clients import Channel, Identity
from postlaw_consent.domain.form import FormSender
from postlaw_consent.domain.scope import Scope
from postlaw_consent.form_clients import FormClients
from postlaw_consent.use_cases.profile_links import Profile
from postlaw_consent.use_cases.sign_up import Person

if TYPE_CHECKING:
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub
    from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceAsyncStub

_PURPOSE = "a person's own page"
_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")  # of a contact, which may be a telephone number or a web page as well


class ProfileClients:
    """Each call raises PostlawError."""

    def __init__(self, channel: Channel, contexts: ServiceContexts, people: FormClients, identity: Identity) -> None:
        self._channel = channel
        self._contexts = contexts
        self._people = people
        self._identity = identity

    async def profile(self, tenant_id: str, address_key: bytes) -> Profile:
        request = subscribers_pb2.GetProfileRequest(address_key=address_key)
        async with self._contexts.acting(tenant_id, _person(address_key), ("subscribers:read",), _PURPOSE):
            found = await self._subscribers.GetProfile(request)
        return Profile(found.subscriber_id, found.address, {field.name: field.value for field in found.fields}, found.version)

    async def correct(
        self, tenant_id: str, address_key: bytes, subscriber_id: str, details: Mapping[str, str], address: str, if_version: int
    ) -> None:
        request = subscribers_pb2.CorrectProfileRequest(
            subscriber_id=subscriber_id,
            fields=[subscribers_pb2.ProfileField(name=name, value=value) for name, value in details.items()],
            address=address,
            if_version=if_version,
        )
        async with self._contexts.acting(tenant_id, _person(address_key), ("subscribers:write",), _PURPOSE):
            await self._subscribers.CorrectProfile(request)

    async def set_language(self, tenant_id: str, address_key: bytes, language: str) -> bool:
        """Whether it was so before."""
        request = subscribers_pb2.SetLanguageRequest(address_key=address_key, language=language)
        async with self._contexts.acting(tenant_id, _person(address_key), ("subscribers:write",), _PURPOSE):
            return (await self._subscribers.SetLanguage(request)).already

    async def resolve(self, tenant_id: str, address: str, *, opening: bool) -> Person:
        return await self._people.resolve(tenant_id, address, opening=opening)

    async def brand(self, tenant_id: str, scope: Scope) -> str:
        if scope.kind != "list":
            return ""
        try:
            return (await self._people.list_named(tenant_id, scope.id))[1]
        except NotFound:
            return ""

    async def sender(self, tenant_id: str, campaign_id: str) -> FormSender | None:
        if campaign_id:
            with suppress(NotFound):
                return await self._sender_of(tenant_id, campaign_id)
        async with self._contexts.acting(tenant_id, None, (), _PURPOSE):
            customer = await self._identity.controller(tenant_id)
        if not _ADDRESS.fullmatch(customer.contact):
            return None
        return FormSender(customer.name, customer.contact, customer.postal_address)

    async def _sender_of(self, tenant_id: str, campaign_id: str) -> FormSender:
        async with self._contexts.acting(tenant_id, None, ("campaigns:read",), _PURPOSE):
            sender = (await self._sending.GetCampaign(sending_pb2.GetCampaignRequest(campaign_id=campaign_id))).sender
        return FormSender(sender.name, sender.address, sender.postal_address)

    @cached_property
    def _subscribers(self) -> SubscribersServiceAsyncStub:
        return SubscribersServiceStub(self._channel("subscribers"))

    @cached_property
    def _sending(self) -> SendingServiceAsyncStub:
        return SendingServiceStub(self._channel("sending"))


def _person(address_key: bytes) -> Actor:
    return Actor("person", address_key.hex())
