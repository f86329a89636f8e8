"""What campaigns ask of subscribers and consent, always in the name of whoever launched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import grpc.aio

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1 import consent_pb2_grpc as consent_grpc
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1 import subscribers_pb2_grpc as subscribers_grpc
from postlaw_common.errors import Unavailable
from postlaw_sending.campaigns.wire import Decision, Gate, list_scope, micros

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
    """`each`, in the order asked. `consent_offset`: every consent event below it, in this `generation` of the topics, was decided on."""

    each: Sequence[Decision]
    consent_offset: int
    law_version: str
    expires_at_us: int
    generation: str

    def gate(self, now_us: int) -> Gate:
        return Gate(self.consent_offset, self.law_version, now_us, self.expires_at_us, self.generation)


class Subscribers:
    """`channel`: the platform's."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def _stub(self) -> subscribers_grpc.SubscribersServiceAsyncStub:
        return subscribers_grpc.SubscribersServiceStub(self._channel("subscribers"))

    async def list_name(self, list_id: str) -> str:
        """Raises NotFound."""
        return (await self._stub().GetList(subscribers.GetListRequest(list_id=list_id))).name

    async def audience(self, list_id: str, partition: int, after: bytes) -> AsyncIterator[Page]:
        """The people after `after`, in pages of 200."""
        request = subscribers.StreamAudienceRequest(list_id=list_id, partition=partition, after_address_key=after, page_size=PAGE_SIZE)
        async for page in self._stub().StreamAudience(request, timeout=STREAM_LIFE_S + 10):
            yield Page(list(page.address_keys), page.people)

    async def people(self, address_keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """AudienceMembers by address_key; who is gone is left out. At most 1,000."""
        found = await self._stub().OpenPeople(subscribers.OpenPeopleRequest(address_keys=address_keys))
        return {member.address_key: member.SerializeToString() for member in found.members}


class Consent:
    """`channel` and `generation` (of the topics): the platform's."""

    def __init__(self, channel: Channel, generation: Callable[[], str]) -> None:
        self._channel = channel
        self._generation = generation

    async def decide(self, list_id: str, partition: int, campaign_id: str, address_keys: Sequence[bytes]) -> Decisions:
        """The first gate, with an unsubscribe token for each who is allowed. At most 1,000.

        Raises Unavailable while consent, or this process, has not been started anew for the topics of today."""
        answer = await consent_grpc.ConsentServiceStub(self._channel("consent")).GetDecisions(
            consent.GetDecisionsRequest(
                scope=list_scope(list_id),
                partition=partition,
                address_keys=address_keys,
                opt_out_tokens=True,
                campaign_id=campaign_id,
                bulk=True,
            )
        )
        if len(answer.decisions) != len(address_keys):
            raise ValueError(f"consent answered {len(answer.decisions)} decisions for {len(address_keys)} people")
        if answer.generation != self._generation():
            raise Unavailable("Consent decides on topics of another generation: start it, and sending, again.")
        return Decisions(answer.decisions, answer.consent_offset, answer.law_version, micros(answer.expires_at), answer.generation)
