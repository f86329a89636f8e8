"""Whose message came back, and consent's word that they are mailed no more: asked in the name of the customer who sent it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import grpc.aio

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.errors import Invalid, NotFound
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.verdict import Act
from postlaw_sending.singles.domain import SentSingle

_SCOPES = ("consents:write", "audience:read")
_PURPOSE = "returned mail"
_KINDS: Final[dict[Act, consent.ConsentEvent.Kind.ValueType]] = {
    "bounced": consent.ConsentEvent.KIND_BOUNCED,
    "complained": consent.ConsentEvent.KIND_COMPLAINED,
    "withdrawn": consent.ConsentEvent.KIND_WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class About:
    """`campaign_id`: or a single message's, `sgl_…`. `address_key` is b"" where the person was deleted, `subscriber_id` "" also where their
    address has changed since, or only a token names them. `brand`: "" for none."""

    tenant_id: str
    campaign_id: str
    brand: str
    address_key: bytes
    subscriber_id: str


class People:
    """`channel`: the platform's. `contexts` are made once the loop runs. `campaign`, `single`: by id, whoever's; None for one that never
    was."""

    def __init__(
        self,
        channel: Callable[[str], grpc.aio.Channel],
        contexts: Callable[[], Contexts],
        campaign: Callable[[str], Awaitable[Campaign | None]],
        single: Callable[[str], Awaitable[SentSingle | None]],
    ) -> None:
        self._single = single
        self._channel = channel
        self._contexts = contexts
        self._campaign = campaign

    async def of_message(self, sent: SentMessage, address: str = "") -> About | None:
        """`address`: of whom, where `sent` does not say it. None where there never was such a message. Raises Unavailable and every
        other PostlawError."""
        if not sent.campaign_id.startswith("cmp_"):
            return await self._of_single(sent.campaign_id)
        campaign = await self._campaign(sent.campaign_id)
        if campaign is None:
            # By Message-ID: single messages in a customer's words had one of a campaign's form until 26 November 2026.
            return None if sent.person else await self._of_single(f"sgl_{sent.campaign_id.removeprefix('cmp_')}")
        found = subscribers.ResolvedPerson()
        async with self._contexts().acting(campaign.tenant_id, scopes=_SCOPES, purpose=_PURPOSE):
            with suppress(NotFound):  # deleted meanwhile: there is nobody left to mail
                found = await SubscribersServiceStub(self._channel("subscribers")).ResolvePerson(
                    subscribers.ResolvePersonRequest(address_key_beginning=sent.person)
                    if sent.person
                    else subscribers.ResolvePersonRequest(address=address)
                )
        return About(campaign.tenant_id, campaign.campaign_id, campaign.brand, found.address_key, found.subscriber_id)

    async def _of_single(self, id: str) -> About | None:
        single = await self._single(id)
        return About(single.tenant_id, single.message_id, single.brand, single.address_key, "") if single else None

    async def provider_of(self, about: About) -> str:
        """The domain of their address; "" where nobody is known by it. Raises Unavailable and every other PostlawError."""
        async with self._contexts().acting(about.tenant_id, scopes=_SCOPES, purpose=_PURPOSE):
            found = await SubscribersServiceStub(self._channel("subscribers")).OpenPeople(
                subscribers.OpenPeopleRequest(address_keys=[about.address_key])
            )
        return next((member.address.rpartition("@")[2].lower() for member in found.members), "")

    async def of_token(self, token: str) -> About | None:
        """None where it is none of ours. Raises Unavailable and every other PostlawError."""
        try:
            said = await ConsentServiceStub(self._channel("consent")).DescribeToken(consent.DescribeTokenRequest(token=token))
        except Invalid:
            return None
        campaign = await self._campaign(said.campaign_id) if said.campaign_id else None
        brand = campaign.brand if campaign is not None else said.scope.brand
        return About(said.tenant_id, said.campaign_id, brand, said.address_key, "")

    async def withdraw(self, token: str) -> None:
        """As the link of the token does. Raises Unavailable and every other PostlawError."""
        await ConsentServiceStub(self._channel("consent")).WithdrawByToken(
            consent.WithdrawByTokenRequest(token=token, route=consent.ROUTE_MAIL)
        )

    async def stop(self, about: About, act: Act, key: str) -> None:
        """Through the stop; a repeat under this key changes nothing. Raises Unavailable and every other PostlawError."""
        of_brand = about.brand and act != "bounced"
        async with self._contexts().acting(about.tenant_id, scopes=_SCOPES, purpose=_PURPOSE):
            await ConsentServiceStub(self._channel("consent")).WithdrawConsent(
                consent.WithdrawConsentRequest(
                    address_key=about.address_key,
                    scope=consent.Scope(brand=about.brand) if of_brand else consent.Scope(everything=True),
                    kind=_KINDS[act],
                    route=consent.ROUTE_MAIL if act == "withdrawn" else consent.ROUTE_API,
                    idempotency_key=key,
                )
            )
