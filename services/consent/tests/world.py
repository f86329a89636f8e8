"""Consent on embedded adapters, with a sending service whose answer each test chooses. No other service runs: none is needed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio

from postlaw.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_common.blobs import open_blobs
from postlaw_common.bus import Received, open_bus
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.keys import open_root_key
from postlaw_common.keys.platform import PLACEMENT, PLATFORM_KEYS, PlatformKeys
from postlaw_common.placement import Placement
from postlaw_common.platform import Platform
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.store import open_store
from postlaw_common.testing.patience import patience
from postlaw_consent.clients import Identity
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.intents import INTENTS, Intents
from postlaw_consent.ledger import LEDGER, Ledger
from postlaw_consent.outgoing import ANSWERS, EVENTS, Outgoing
from postlaw_consent.relay import Relay
from postlaw_consent.senders import Senders
from postlaw_consent.service import ConsentSettings, build
from postlaw_consent.servicer import ConsentServicer
from postlaw_consent.wire import decode, encode, evidence_to_wire

from .played import FakeAudit, FakeIdentity, FakeSending, FakeSubscribers
from .unreliable_bus import UnreliableBus

TENANT = "ten_06d3k5yznp1w9r8g7f6e5d4c3b"
# What a consent needs so that every regime takes it, the strictest included; proof_ref and wording_version follow from what is kept.
HELD = ("affirmative_act", "contact_shown", "purpose", "requester_named", "separate", "withdrawal_info")
PROVEN = pb.Particulars(held=evidence_to_wire(HELD))
WORDING = "Yes, send me the newsletter."


class World:
    """One installation in a directory. Calls go to the servicer itself: who may call what is the house's own test."""

    def __init__(self, directory: Path) -> None:
        self.state = str(directory)
        self.sending = FakeSending()
        self.identity = FakeIdentity()
        self.audit = FakeAudit()
        self.people: dict[str, bytes] = {}
        self.subscribers = FakeSubscribers(self.people)
        self.settings = ConsentSettings()
        self.clock_ahead_us = 0
        self._stands_at_us = 0
        self.generation = "gen_1"
        self.caller = Caller(TENANT, Actor("api_key", "key_1"), scopes=frozenset({"consents:write"}))

    def now_us(self) -> int:
        return (self._stands_at_us or time.time_ns() // 1000) + self.clock_ahead_us

    def stand_still(self) -> None:
        """From now on the clock moves by `clock_ahead_us` alone."""
        self._stands_at_us = self.now_us()

    async def start(self) -> None:
        self.senders = Senders(lambda tenant_id: Identity(lambda _: self._channel).sender(tenant_id))
        self.bus = UnreliableBus(open_bus("embedded:", state=self.state, partitions=4))
        await self.bus.start()
        self.stores = {name: open_store("sqlite:", name, state=self.state) for name in ("consent", "platform")}
        root = open_root_key("file:", state=self.state)
        await root.start()
        await self.stores["platform"].start([PLATFORM_KEYS])
        keys = PlatformKeys(self.stores["platform"], root)
        self.placement = Placement(await keys.get(PLACEMENT), self.bus.partitions)
        self._server = grpc.aio.server()
        add_SendingServiceServicer_to_server(self.sending, self._server)
        add_SubscribersServiceServicer_to_server(self.subscribers, self._server)
        add_IdentityServiceServicer_to_server(self.identity, self._server)
        add_AuditServiceServicer_to_server(self.audit, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.service = build(
            Platform(
                bus=self.bus,
                blobs=open_blobs("file:", state=self.state),
                root_key=root,
                platform_keys=keys,
                store=self.stores.__getitem__,
                channel=lambda service: MeshChannel(service, lambda: self._channel),
                placement=lambda: self.placement,
                generation=lambda: self.generation,
                now_us=self.now_us,
                public_url="http://localhost",
            ),
            self.settings,
        )
        for name, collections in self.service.databases.items():
            await self.stores[name].start(collections)
        await self.bus.ensure_topics(self.service.topics)
        assert self.service.on_start is not None
        await self.service.on_start()
        servicer = self.service.servicers[0].servicer
        assert isinstance(servicer, ConsentServicer)
        self.consent = servicer
        store = self.stores["consent"]
        self.relay = Relay(
            Ledger(lambda: store.collection(LEDGER.name), encode, decode, lambda: self.placement),
            Intents(lambda: store.collection(INTENTS.name)),
            Outgoing(self.bus),
            lambda: self.generation,
            self.now_us,
        )

    async def stop(self) -> None:
        self.bus.release.set()
        assert self.service.on_stop is not None
        await self.service.on_stop()
        await self._close()

    async def answering_within_a_second(self) -> None:
        """For a test that has it wait in vain: others would see *recorded* on a machine that was busy for so long."""
        self.settings = ConsentSettings(answer_within_s=1.0)
        await self.restart()

    async def restart(self) -> None:
        """As after a crash: nothing that was under way is finished."""
        await self._close()
        await self.start()

    async def _close(self) -> None:
        await self._channel.close()
        await self._server.stop(None)
        await self.bus.close()
        for store in self.stores.values():
            await store.close()

    @contextmanager
    def tenant(self, tenant_id: str) -> Generator[None]:
        """Inside, another customer calls."""
        before, self.caller = self.caller, replace(self.caller, tenant_id=tenant_id)
        yield
        self.caller = before

    async def carried_out(self) -> None:
        """Returns once every sign-up is done, or was put off."""
        await self._carried_out("sign_ups")

    async def links_mailed(self) -> None:
        """Returns once the mail of every link to somebody's details is sent, never will be, or was put off."""
        await self._carried_out("profile_links")

    async def _carried_out(self, intents: str) -> None:
        async with patience():
            while any(not document["tries"] for document in await self.stores["consent"].collection(intents).find("open", "1")):
                await asyncio.sleep(0.01)

    async def sign_ups_swept(self) -> None:
        """Sweeps until none is left."""
        sign_ups = self.stores["consent"].collection("sign_ups")
        await self._swept("sign-ups", sign_ups.count)

    async def links_swept(self, *, forgotten: bool = False) -> None:
        """Sweeps until no mail of a link is left to be sent, or no link is left."""
        links = self.stores["consent"].collection("profile_links")
        await self._swept("links to people's details", links.count if forgotten else lambda: links.find("open", "1"))

    async def _swept(self, name: str, left: Callable[[], Awaitable[object]]) -> None:
        [sweeping] = [background for background in self.service.backgrounds if background.name == name]
        task = asyncio.ensure_future(sweeping.run())
        async with patience():
            while await left():
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def person(self, name: str) -> bytes:
        return b"\x01" + hashlib.sha256(name.encode()).digest()

    def partition(self, person: bytes) -> int:
        return self.placement.partition(self.caller.tenant_id, person)

    async def record(self, *consents: pb.ConsentRecord) -> pb.RecordConsentsResponse:
        """With all the evidence that there is, where a test says nothing of it."""
        for consent in consents:
            _proven(consent)
        with acting_as(self.caller):
            return await self.consent.RecordConsents(pb.RecordConsentsRequest(consents=consents), None)

    async def record_of_many(self, people: Sequence[bytes], **shared: Any) -> pb.RecordConsentOfManyResponse:
        """Everyone's evidence is made of their own key."""
        key = shared.pop("idempotency_key", "import/1")
        evidence = shared.pop("evidence", [b"sealed " + person for person in people])
        variants = {name: shared.pop(name) for name in ("variants", "variant_of", "given_at_us") if name in shared}
        consent = pb.ConsentRecord(scope=pb.Scope(list_id="lst_1"), route=pb.ROUTE_IMPORT, idempotency_key=key, **shared)
        _proven(consent)
        request = pb.RecordConsentOfManyRequest(consent=consent, address_keys=people, sealed_proof_evidence=evidence, **variants)
        with acting_as(self.caller):
            return await self.consent.RecordConsentOfMany(request, None)

    async def given(self, person: bytes, list_id: str = "lst_1", **more: Any) -> pb.RecordConsentsResponse:
        scope = more.pop("scope", None) or pb.Scope(list_id=list_id)
        return await self.record(pb.ConsentRecord(address_key=person, scope=scope, **more))

    async def withdraw(self, person: bytes, list_id: str = "lst_1", **more: Any) -> pb.Withdrawal:
        """`person` empty: said otherwise, by `address` or `subscriber_id`."""
        scope = more.pop("scope", None) or pb.Scope(list_id=list_id)
        if person:
            more["address_key"] = person
        with acting_as(self.caller):
            return await self.consent.WithdrawConsent(pb.WithdrawConsentRequest(scope=scope, **more), None)

    async def by_token(self, token: str, **more: Any) -> pb.Withdrawal:
        with acting_as(None):
            return await self.consent.WithdrawByToken(pb.WithdrawByTokenRequest(token=token, **more), None)

    async def describe(self, token: str) -> pb.TokenDescription:
        with acting_as(None):
            return await self.consent.DescribeToken(pb.DescribeTokenRequest(token=token), None)

    async def listed(self, person: bytes, **more: Any) -> pb.ListConsentEventsResponse:
        with acting_as(self.caller):
            return await self.consent.ListConsentEvents(pb.ListConsentEventsRequest(address_key=person, **more), None)

    async def decide(self, *people: bytes, list_id: str = "lst_1", **more: Any) -> pb.GetDecisionsResponse:
        scope = more.pop("scope", None) or pb.Scope(list_id=list_id)
        request = pb.GetDecisionsRequest(
            scope=scope, partition=self.partition(people[0]), address_keys=people, opt_out_tokens=True, campaign_id="cmp_1", **more
        )
        with acting_as(self.caller):
            return await self.consent.GetDecisions(request, None)

    async def explain(self, **who: Any) -> pb.ExplainedDecision:
        with acting_as(self.caller):
            return await self.consent.ExplainDecision(pb.ExplainDecisionRequest(scope=pb.Scope(list_id="lst_1"), **who), None)

    async def allowed(self, person: bytes, list_id: str = "lst_1", **more: Any) -> bool:
        return (await self.decide(person, list_id=list_id, **more)).decisions[0].allow

    async def token(self, person: bytes, list_id: str = "lst_1") -> str:
        """A token as it goes into a link; the person must be allowed."""
        return (await self.decide(person, list_id=list_id)).decisions[0].opt_out_token.decode()

    async def published(self, topic: str = EVENTS.name) -> list[Received]:
        """All records of the topic, partition by partition."""
        client = await self.bus.end_offset_client()
        places = [(topic, partition) for partition in range(self.bus.partitions)]
        ends = await client.end_offsets(places)
        await client.close()
        return [record for place, end in ends.items() for record in await self.bus.read_range(*place, 0, end)]

    async def events(self) -> list[ConsentEvent]:
        """The consent events on the bus."""
        return [decode(record.value) for record in await self.published()]

    async def answers(self) -> list[pb.WithdrawalAnswered]:
        return [pb.WithdrawalAnswered.FromString(record.value) for record in await self.published(ANSWERS.name)]


def _proven(consent: pb.ConsentRecord) -> None:
    if not consent.HasField("particulars"):
        consent.particulars.CopyFrom(PROVEN)
        if not consent.notice_hash:
            consent.wording = consent.wording or WORDING
