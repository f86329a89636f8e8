"""Consent on embedded adapters, with a sending service whose answer each test chooses. No other service runs: none is needed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from postlaw.audit.v1 import audit_pb2
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceServicer, add_AuditServiceServicer_to_server
from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceServicer, add_IdentityServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceServicer, add_SendingServiceServicer_to_server
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceServicer, add_SubscribersServiceServicer_to_server
from postlaw_common.blobs import open_blobs
from postlaw_common.bus import Bus, BusUnavailable, EndOffsets, GroupReader, Reader, Received, Record, Topic, open_bus
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

# The generated servicers are abstract to the type checker; a fake answers one method and refuses the others.
_AnySending: Any = SendingServiceServicer
_AnySubscribers: Any = SubscribersServiceServicer

_AnyIdentity: Any = IdentityServiceServicer
_AnyAudit: Any = AuditServiceServicer

TENANT = "ten_06d3k5yznp1w9r8g7f6e5d4c3b"

# What a consent needs so that every regime takes it, the strictest included; proof_ref and wording_version follow from what is kept.
HELD = ("affirmative_act", "contact_shown", "purpose", "requester_named", "separate", "withdrawal_info")
PROVEN = pb.Particulars(held=evidence_to_wire(HELD))
WORDING = "Yes, send me the newsletter."


class UnreliableBus:
    """The embedded bus, which a test can take away: `down` refuses, `hanging` does not answer until `release` is set."""

    def __init__(self, inner: Bus) -> None:
        self.inner = inner
        self.down = False
        self.hanging = False
        self.release = asyncio.Event()

    @property
    def partitions(self) -> int:
        return self.inner.partitions

    async def start(self) -> None:
        await self.inner.start()

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        await self.inner.ensure_topics(topics)

    async def publish(self, records: Sequence[Record]) -> list[int]:
        if self.down:
            raise BusUnavailable("taken away by the test")
        if self.hanging:
            await self.release.wait()
            raise BusUnavailable("taken away by the test")
        return await self.inner.publish(records)

    async def reader(self, *, unhurried: bool = False) -> Reader:
        return await self.inner.reader()

    async def group(self, group: str, topics: Sequence[str]) -> GroupReader:
        return await self.inner.group(group, topics)

    async def end_offset_client(self) -> EndOffsets:
        return await self.inner.end_offset_client()

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        return await self.inner.read_range(topic, partition, start, end)

    async def close(self) -> None:
        await self.inner.close()


class FakeSending(_AnySending):
    """Answers AwaitStopped as `mode` says: stopped, recorded, hang, fail, or unknown: with an outcome of a later version.

    Takes single messages, unless it is `away`."""

    def __init__(self) -> None:
        self.mode = "stopped"
        self.asked: list[sending_pb2.AwaitStoppedRequest] = []
        self.mails: list[sending_pb2.SendMessageRequest] = []
        self.campaigns: dict[str, sending_pb2.Sender] = {}
        self.away = False

    async def AwaitStopped(self, request: sending_pb2.AwaitStoppedRequest, context: Any) -> sending_pb2.AwaitStoppedResponse:
        self.asked.append(request)
        if self.mode == "hang":
            await asyncio.Event().wait()
        if self.mode == "fail":
            await context.abort(grpc.StatusCode.INTERNAL, "broken by the test")
        outcomes = {"stopped": pb.OUTCOME_STOPPED, "recorded": pb.OUTCOME_RECORDED, "unknown": pb.OUTCOME_UNSPECIFIED}
        return sending_pb2.AwaitStoppedResponse(outcome=outcomes[self.mode], epoch=7)

    async def GetCampaign(self, request: sending_pb2.GetCampaignRequest, context: Any) -> sending_pb2.Campaign:
        if request.campaign_id not in self.campaigns:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return sending_pb2.Campaign(sender=self.campaigns[request.campaign_id])

    async def SendMessage(self, request: sending_pb2.SendMessageRequest, context: Any) -> sending_pb2.SendMessageResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        if request.idempotency_key not in {mail.idempotency_key for mail in self.mails}:
            self.mails.append(request)
        return sending_pb2.SendMessageResponse(message_id="sgl_1")


class FakeSubscribers(_AnySubscribers):
    """Knows people by subscriber id; addresses it cannot resolve, as if it were down, unless `resolves`."""

    def __init__(self, people: dict[str, bytes]) -> None:
        self.people = people
        self.resolves = False
        self.joined: list[tuple[str, str]] = []
        self.languages: dict[bytes, str] = {}
        self.opening: list[str] = []
        self.profiles: dict[bytes, subscribers_pb2.Profile] = {}
        self.corrected: list[subscribers_pb2.CorrectProfileRequest] = []
        self.loses_answers = False

    async def GetList(self, request: subscribers_pb2.GetListRequest, context: Any) -> subscribers_pb2.List:
        return subscribers_pb2.List(list_id=request.list_id, name="Weekly", brand="Acme")

    async def JoinList(self, request: subscribers_pb2.JoinListRequest, context: Any) -> subscribers_pb2.Subscriber:
        self.joined.append((request.address, request.list_id))
        key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
        return subscribers_pb2.Subscriber(address=request.address, list_ids=[request.list_id], language=self.languages.get(key, ""))

    async def ResolvePerson(self, request: subscribers_pb2.ResolvePersonRequest, context: Any) -> subscribers_pb2.ResolvedPerson:
        if request.address and self.resolves:
            self.opening += [request.address] if request.opening else []
            sealed = b"sealed:" + request.profile_evidence if request.profile_evidence else b""
            key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
            return subscribers_pb2.ResolvedPerson(address_key=key, address=request.address, sealed_profile_evidence=sealed)
        if request.address:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        if request.subscriber_id not in self.people:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return subscribers_pb2.ResolvedPerson(address_key=self.people[request.subscriber_id])

    async def SetLanguage(self, request: subscribers_pb2.SetLanguageRequest, context: Any) -> subscribers_pb2.SetLanguageResponse:
        if request.address_key not in self.profiles:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        before, self.languages[request.address_key] = self.languages.get(request.address_key), request.language
        return subscribers_pb2.SetLanguageResponse(already=before == request.language)

    async def GetProfile(self, request: subscribers_pb2.GetProfileRequest, context: Any) -> subscribers_pb2.Profile:
        if request.address_key not in self.profiles:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return self.profiles[request.address_key]

    async def CorrectProfile(self, request: subscribers_pb2.CorrectProfileRequest, context: Any) -> subscribers_pb2.Profile:
        """Refuses an address that begins with "taken"; `loses_answers`: what is asked happens, and the answer is lost."""
        known = [profile for profile in self.profiles.values() if profile.subscriber_id == request.subscriber_id]
        if not known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        [profile] = known
        if request.if_version not in (0, profile.version):
            await context.abort(grpc.StatusCode.ABORTED, "changed")
        if request.address.startswith("taken"):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "taken")
        if any(len(field.value) > 100 for field in request.fields):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too long")
        self.corrected.append(request)
        for field in request.fields:
            [shown] = [one for one in profile.fields if one.name == field.name]
            shown.value = field.value
        profile.version += 1
        if request.address:
            del self.profiles[profile.address_key]
            profile.address = request.address
            profile.address_key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
            self.profiles[profile.address_key] = profile
        if self.loses_answers:
            await context.abort(grpc.StatusCode.INTERNAL, "the answer was lost")
        return profile

    async def GetAddresses(self, request: subscribers_pb2.GetAddressesRequest, context: Any) -> subscribers_pb2.GetAddressesResponse:
        known = {address_key: f"{subscriber_id}@example.com" for subscriber_id, address_key in self.people.items()}
        return subscribers_pb2.GetAddressesResponse(addresses=[known.get(address_key, "") for address_key in request.address_keys])


class FakeIdentity(_AnyIdentity):
    """Knows every customer, and that it stands where `stands` says."""

    def __init__(self) -> None:
        self.stands = identity_pb2.SenderIdentity(territory="IE", time_zone="Europe/Dublin")
        self.down = False
        self.asked = 0

    async def IssueServiceContext(self, request: identity_pb2.IssueServiceContextRequest, context: Any) -> identity_pb2.IssuedContext:
        issued = identity_pb2.IssuedContext()
        issued.context.actor.id = "consent"
        issued.context.scopes.extend(request.scopes)
        issued.context.expires_at.FromSeconds(4_000_000_000)
        return issued

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        self.asked += 1
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        return identity_pb2.Tenant(tenant_id=request.tenant_id, name="Acme", sender_identity=self.stands)


class FakeAudit(_AnyAudit):
    """A log that has the entries it was given, by event id."""

    def __init__(self) -> None:
        self.entries: dict[str, audit_pb2.Entry] = {}
        self.witnesses: list[str] = []
        self.key_notes: list[str] = []

    async def GetEventProof(self, request: audit_pb2.GetEventProofRequest, context: Any) -> audit_pb2.EventProof:
        if request.event_id not in self.entries:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not yet")
        entry = self.entries[request.event_id].SerializeToString()
        checkpoint = audit_pb2.Checkpoint(size=4, note="a note", witnesses=self.witnesses)
        return audit_pb2.EventProof(index=2, entry=entry, hashes=[b"step"], checkpoint=checkpoint, key_notes=self.key_notes)


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


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    await one.start()
    yield one
    await one.stop()
