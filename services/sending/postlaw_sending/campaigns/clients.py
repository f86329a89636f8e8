"""What campaigns ask of subscribers, consent and identity, always in the name of whoever launched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import grpc.aio

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1 import consent_pb2_grpc as consent_grpc
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw.identity.v1 import identity_pb2_grpc as identity_grpc
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1 import subscribers_pb2_grpc as subscribers_grpc
from postlaw_common.errors import Conflict, Unavailable
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL_MAIL, MessageFacts, Ruling, defects
from postlaw_sending.campaigns.wire import Decision, Gate, law_message, list_scope, micros, ruling_of
from postlaw_sending.tracking.domain import NO_TRACKING, Tracking

Channel = Callable[[str], grpc.aio.Channel]

PAGE_SIZE = 200  # people a batch
DECIDED_AT_ONCE = 1000  # the contract's limit
STREAM_LIFE_S = 50.0  # what a stream has read ahead is at most so old when it is planned: caches of people live 60 s


@dataclass(frozen=True, slots=True)
class Page:
    """People of one partition by ascending address_key. `people`: their AudiencePeople, passed on as it is."""

    address_keys: list[bytes]
    people: bytes


@dataclass(frozen=True, slots=True)
class Decisions:
    """`each`, in the order asked; what it says stands in `rulings`, and in `verdicts` as it came, at its `verdict`. `gate`: on what
    they rest."""

    each: Sequence[Decision]
    rulings: Sequence[Ruling]
    gate: Gate
    verdicts: Sequence[consent.Verdict] = ()

    def might_give_a_sign(self, address_keys: Sequence[bytes]) -> list[bytes]:
        """`address_keys`: those asked about, in that order. Of them, who may have it and allows some of what the campaign asks to know."""
        return [key for key, one in zip(address_keys, self.each, strict=True) if one.allow and self.rulings[one.verdict].tracking]


class Subscribers:
    """`channel`: the platform's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def _stub(self) -> subscribers_grpc.SubscribersServiceAsyncStub:
        return subscribers_grpc.SubscribersServiceStub(self._channel("subscribers"))

    async def list_named(self, list_id: str) -> tuple[str, str]:
        """Its name and its brand. Raises NotFound."""
        found = await self._stub().GetList(subscribers.GetListRequest(list_id=list_id))
        return found.name, found.brand

    async def list_zone(self, list_id: str) -> str:
        """Its time zone, "" where it has none. Raises NotFound."""
        return (await self._stub().GetList(subscribers.GetListRequest(list_id=list_id))).time_zone

    async def audience(self, list_id: str, partition: int, after: bytes) -> AsyncIterator[Page]:
        """The people after `after`, in pages of 200."""
        request = subscribers.StreamAudienceRequest(list_id=list_id, partition=partition, after_address_key=after, page_size=PAGE_SIZE)
        async for page in self._stub().StreamAudience(request, timeout=STREAM_LIFE_S + 10):
            yield Page(list(page.address_keys), page.people)

    async def resolved(self, *, address: str = "", subscriber_id: str = "") -> tuple[bytes, str, str]:
        """(address_key, subscriber_id, address) of who is meant, by either. The id is "" where nobody is known by the address, the address
        is "" where the id was given. Raises Invalid, NotFound."""
        asked = subscribers.ResolvePersonRequest(subscriber_id=subscriber_id)
        if address:
            asked = subscribers.ResolvePersonRequest(address=address)
        found = await self._stub().ResolvePerson(asked)
        return found.address_key, found.subscriber_id, found.address

    async def member(self, address_key: bytes) -> subscribers.AudienceMember | None:
        """None: they are gone."""
        found = await self._stub().OpenPeople(subscribers.OpenPeopleRequest(address_keys=[address_key]))
        return found.members[0] if found.members else None

    async def people(self, address_keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """AudienceMembers by address_key; who is gone is left out. At most 1,000."""
        found = await self._stub().OpenPeople(subscribers.OpenPeopleRequest(address_keys=address_keys))
        return {member.address_key: member.SerializeToString() for member in found.members}


class Consent:
    """`channel` and `generation` (of the topics): the platform's. `bulk`: of a partition, whole audiences are decided."""

    def __init__(self, channel: Channel, generation: Callable[[], str], *, bulk: bool = True) -> None:
        self._bulk = bulk
        self._channel = channel
        self._generation = generation

    async def decide(self, campaign: Campaign, partition: int, address_keys: Sequence[bytes]) -> Decisions:
        """The first gate, with an unsubscribe token for each who is allowed. At most 1,000.

        Raises Unavailable while consent, or this process, has not been started anew for the topics of today."""
        return await self._ask(
            consent.GetDecisionsRequest(
                scope=list_scope(campaign.list_id),
                brand=campaign.brand,
                partition=partition,
                address_keys=address_keys,
                opt_out_tokens=True,
                campaign_id=campaign.campaign_id,
                bulk=self._bulk,
                message=law_message(campaign),
            ),
            campaign.tracking,
        )

    async def decide_single(self, message_id: str, facts: MessageFacts, contact: str, partition: int, address_key: bytes) -> Decisions:
        """The first gate for one message to one person, which belongs to no list. Raises as `decide`."""
        return await self._ask(
            consent.GetDecisionsRequest(
                scope=consent.Scope(everything=True),
                partition=partition,
                address_keys=[address_key],
                opt_out_tokens=True,
                campaign_id=message_id,
                message=consent.Message(message_class=facts.message_class, states=facts.states, defects=defects(contact)),
            )
        )

    async def decide_for_team(self, message_id: str, facts: MessageFacts, contact: str, partition: int, address_key: bytes) -> Decisions:
        """As `decide_single`, of what advertises and rests on no consent of theirs, a mail to the customer's own people: whoever said no
        to everything does not get it. Raises Conflict, of type `not-allowed`; Unavailable."""
        answer = await self.decide_single(message_id, facts, contact, partition, address_key)
        # Asked second: a no of before the answer above is seen here, and one that comes later is the second gate's to see.
        said_no = await self.decide_single(message_id, COMMERCIAL_MAIL, "", partition, address_key)
        if said := [code for code in said_no.rulings[said_no.each[0].verdict].refusals if code.startswith("SUPPRESSED")]:
            raise Conflict(f"No mail may go to this address: {', '.join(said)}.", type="not-allowed")
        return answer

    async def _ask(self, request: consent.GetDecisionsRequest, tracking: Tracking = NO_TRACKING) -> Decisions:
        answer = await consent_grpc.ConsentServiceStub(self._channel("consent")).GetDecisions(request)
        asked = len(request.address_keys)
        if len(answer.decisions) != asked:
            raise ValueError(f"consent answered {len(answer.decisions)} decisions for {asked} people")
        if answer.generation != self._generation():
            raise Unavailable("Consent decides on topics of another generation: start it, and sending, again.")
        gate = Gate(
            consent_offset=answer.consent_offset,
            law_version=answer.law_version,
            decided_at_us=micros(answer.decided_at),
            expires_at_us=micros(answer.expires_at),
            generation=answer.generation,
            inputs_hash=answer.inputs_hash,
        )
        return Decisions(answer.decisions, [ruling_of(verdict, tracking) for verdict in answer.verdicts], gate, answer.verdicts)

    async def described(self, token: bytes) -> tuple[str, str]:
        """Whose link it is: the customer's id, and the list's. Raises NotFound for a token that is none, Unavailable."""
        stub: consent_grpc.ConsentServiceAsyncStub = consent_grpc.ConsentServiceStub(self._channel("consent"))
        found = await stub.DescribeToken(consent.DescribeTokenRequest(token=token.decode("ascii")))
        return found.tenant_id, found.scope.list_id


class Identity:
    """`channel`: the platform's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def contact(self, tenant_id: str) -> str:
        """What a customer's messages name beside its postal address; "" where it has none. Raises NotFound, Unavailable."""
        return (await self._tenant(tenant_id)).sender_identity.contact

    async def time_zone(self, tenant_id: str) -> str:
        """A customer's civil time, an IANA name. Raises NotFound, Unavailable."""
        return (await self._tenant(tenant_id)).sender_identity.time_zone or "UTC"

    async def _tenant(self, tenant_id: str) -> identity.Tenant:
        stub: identity_grpc.IdentityServiceAsyncStub = identity_grpc.IdentityServiceStub(self._channel("identity"))
        return await stub.GetTenant(identity.GetTenantRequest(tenant_id=tenant_id))
