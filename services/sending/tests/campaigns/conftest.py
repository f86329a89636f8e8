"""An installation of sending in a directory, with subscribers, consent and identity played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_common.bus import Bus, Record
from postlaw_common.events import Event, from_record, new_event, to_record
from postlaw_common.platform import Platform
from postlaw_common.service import Service
from postlaw_common.store import Store
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import patience
from postlaw_sending.campaigns.assembly import CampaignParts, assemble
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.campaigns.wire import JOBS, OUTCOMES, SealedBatch
from postlaw_sending.domains.assembly import assemble_domains
from postlaw_sending.domains.checking import Expected
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.returns.assembly import counts_in, received_in
from postlaw_sending.returns.refusals import Refusals
from postlaw_sending.service import build
from postlaw_sending.settings import SendingSettings
from postlaw_sending.silence.last_signals import last_signals_in
from postlaw_sending.singles.assembly import assemble_singles
from postlaw_sending.singles.domain import is_attempt
from postlaw_sending.singles.opening import opener
from postlaw_sending.singles.own_words import words_compiler
from postlaw_sending.stop.holdings import HOLDINGS
from postlaw_sending.team.assembly import team_addresses_in
from postlaw_sending.templates.assembly import assemble_templates
from postlaw_sending.tracking.tokens import Tokens
from postlaw_sending.worker.jobs import Opener
from postlaw_sending.worker.mailbox_providers import destinations
from services.sending.tests.campaigns.played import PARTITIONS, FakeConsent, FakeIdentity, FakeSubscribers
from services.sending.tests.messages.compiled import RETURN_PATHS

TENANT = "ten_00000000000000000000000001"
SCOPES = (
    "campaigns:write", "campaigns:read", "campaigns:launch", "templates:read", "templates:write", "domains:read", "domains:write",
    "messages:write",
)  # fmt: skip
Verdict = Callable[[sending.JobRecipient, int], tuple[State, str]]


def everyone_gets_it(recipient: sending.JobRecipient, attempt: int) -> tuple[State, str]:
    return State.SENT, ""


class World:
    """One installation, running. The test plays the worker too: `deliver` takes what stands in the log and settles it."""

    def __init__(self, m: Mesh, platform: Platform, people: FakeSubscribers, law: FakeConsent, identity: FakeIdentity) -> None:
        self.mesh = m
        self.platform = platform
        self.people = people
        self.law = law
        self.identity = identity
        self.singles = assemble_singles(platform, "sending", None, "").singles
        self.tracking_tokens = Tokens(platform.platform_keys)
        self.parts = self.reopened()
        self.stub = SendingServiceStub(m.channel("sending", caller=m.caller(TENANT, SCOPES)))
        self.batches: dict[tuple[str, int, int], list[sending.JobRecipient]] = {}
        self.mailed: list[str] = []
        self.subjects: dict[str, str] = {}  # of what was mailed, by address
        self._next: dict[int, int] = {}
        self._taken: dict[tuple[str, int], int] = {}

    def reopened(self) -> CampaignParts:
        """Campaigns as a process has them that has just begun."""
        return assemble(
            self.platform,
            "sending",
            HOLDINGS,
            32,
            approved=assemble_templates(self.platform, "sending").judge.approved_now,
            is_single=is_attempt,
            settle_single=self.singles.settle,
            refused=Refusals(received_in(self.platform, "sending")).take,
            require_free=counts_in(self.platform, "sending")[0].require_free,
            held_at=counts_in(self.platform, "sending")[0].held_at,
            last_signals=last_signals_in(self.platform, "sending"),
            links_host=assemble_domains(self.platform, "sending", Resolver(), Expected()).keep.links_host,
            answers_reach=team_addresses_in(self.platform, "sending")[0].reach,
            return_paths=ReturnPaths(self.platform.platform_keys),
            tracking_tokens=self.tracking_tokens,
        )

    @property
    def opener(self) -> Opener:
        """Opens campaigns' batches and single messages, as a worker of this process does."""
        approved = assemble_templates(self.platform, "sending").judge.approved_now
        compile = words_compiler(approved, self.parts.campaigns.find, self.parts.compiled)
        return opener(self.singles, self.parts.opener.open, "https://mail.example", RETURN_PATHS, compile)

    @property
    def bus(self) -> Bus:
        return self.platform.bus

    @property
    def store(self) -> Store:
        return self.platform.store("sending")

    def as_tenant(self, tenant_id: str) -> Any:
        return SendingServiceStub(self.mesh.channel("sending", caller=self.mesh.caller(tenant_id, SCOPES)))

    def as_approver(self, credential_id: str = "key_2", tenant_id: str = TENANT) -> Any:
        caller = self.mesh.caller(tenant_id, ["templates:approve"], credential_id=credential_id)
        return SendingServiceStub(self.mesh.channel("sending", caller=caller))

    async def draft(self, list_id: str = "lst_1", *, key: str = "", **changed: Any) -> sending.Campaign:
        request = sending.CreateCampaignRequest(
            name="June",
            list_id=list_id,
            sender=sending.Sender(name="Shop", address="news@shop.example", postal_address="1 Main St"),
            idempotency_key=key,
        )
        if "template_id" not in changed:
            request.template.CopyFrom(sending.Template(subject="Hello {{ name }}", text="Hello {{ name }}"))
        for name, value in changed.items():
            if isinstance(value, str | int):
                setattr(request, name, value)
            else:
                getattr(request, name).CopyFrom(value)
        return await self.stub.CreateCampaign(request)

    async def launched(self, list_id: str = "lst_1") -> str:
        campaign = await self.draft(list_id)
        await self.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
        return campaign.campaign_id

    async def get(self, campaign_id: str) -> sending.Campaign:
        return await self.stub.GetCampaign(sending.GetCampaignRequest(campaign_id=campaign_id))

    async def records(self, partition: int) -> list[SealedBatch]:
        """Everything in the jobs partition, duplicates and all."""
        received = await self.bus.read_range(JOBS, partition, 0, 1_000_000)
        return [SealedBatch.FromString(record.value) for record in received]

    async def events(self, topic: str) -> list[Event]:
        """All that are on the topic, in order on each partition."""
        return [from_record(record) for n in range(PARTITIONS) for record in await self.bus.read_range(topic, n, 0, 1_000_000)]

    def taken_up_to(self, partition: int) -> int:
        """The jobs partition's offset below which everything is delivered."""
        return self._next.get(partition, 0)

    async def deliver(self, verdict: Verdict = everyone_gets_it, *, partitions: Sequence[int] = range(PARTITIONS)) -> int:
        """As the worker does: each batch once by its number, first copy first; one BatchSettled a batch. How many it settled."""
        done = 0
        for partition in partitions:
            start = self._next.get(partition, 0)
            for record in await self.bus.read_range(JOBS, partition, start, start + 1_000_000):
                self._next[partition] = record.offset + 1
                sealed = SealedBatch.FromString(record.value)
                place = (sealed.campaign_id, partition)
                if sealed.batch < self._taken.get(place, 0):
                    continue
                assert sealed.batch == self._taken.get(place, 0), "a gap in the batch numbers"
                self._taken[place] = sealed.batch + 1
                opened = await self.parts.opener.open(sealed, partition)
                people = list(opened.recipients)
                assert len(people) == sealed.size
                self.batches[sealed.campaign_id, partition, sealed.batch] = people
                before = len(self.mailed)
                await self.settle(sealed, partition, people, verdict)
                for person in (person for person in people if person.address in self.mailed[before:]):
                    message = opened.compiled.render(person).split(b"\r\n")
                    self.subjects[person.address] = next(line[9:].decode() for line in message if line.startswith(b"Subject: "))
                done += 1
            await self._hold(partition)
        return done

    async def settle(self, sealed: SealedBatch, partition: int, people: list[sending.JobRecipient], verdict: Verdict) -> None:
        texts: list[str] = []
        states, reasons = bytearray(), list[int]()
        for person in people:
            state, reason = (State.REFUSED, ",".join(person.refusals)) if person.refusals else verdict(person, sealed.attempt)
            if state is State.SENT:
                self.mailed.append(person.address)
            if reason and reason not in texts:
                texts.append(reason)
            states.append(state)
            reasons.append(texts.index(reason) + 1 if reason else 0)
        event = sending.BatchSettled(
            tenant_id=sealed.tenant_id,
            campaign_id=sealed.campaign_id,
            partition=partition,
            batch=sealed.batch,
            attempt=sealed.attempt,
            address_keys=[person.address_key for person in people],
            subscriber_ids=[person.subscriber_id for person in people],
            states=bytes(states),
            reasons=reasons,
            reason_texts=texts,
            destinations=[
                sending.DestinationOutcome(destination=to, state=sending.RecipientState.ValueType(state), recipients=number)
                for (to, state), number in destinations(zip((person.address for person in people), states, strict=True)).items()
            ],
            started_at_us=self.platform.now_us(),
            handed_over_after_us=[5 if state == State.SENT else 0 for state in states],
        )
        await self.bus.publish([settled_record(event)])

    async def _hold(self, partition: int) -> None:
        collection = self.store.collection(HOLDINGS.name)
        id = f"p{partition:04d}"
        found = await collection.get(id)
        document = {"_id": id, "job_offset": self._next.get(partition, 0)}
        if found is None:
            await collection.insert(document)
        else:
            await collection.replace(document, version=found["v"])

    async def until(
        self, campaign_id: str, status: sending.Campaign.Status.ValueType, verdict: Verdict = everyone_gets_it
    ) -> sending.Campaign:
        """Delivers until the campaign has this status and nothing is pending."""
        async with patience():
            while True:
                await self.deliver(verdict)
                campaign = await self.get(campaign_id)
                if campaign.status == status and not campaign.totals.pending:
                    return campaign
                await asyncio.sleep(0.02)


def settled_record(event: sending.BatchSettled) -> Record:
    data = event.SerializeToString()
    made = new_event(
        "postlaw.sending.BatchSettled", data, source="sending", subject=event.campaign_id, sequence=0, tenant_id=event.tenant_id
    )
    return to_record(made, OUTCOMES, event.partition)


Opened = Callable[..., Any]


@pytest.fixture
def open_world(tmp_path: Path) -> Opened:
    """`async with open_world() as world`: an installation in this test's directory; the second time, the same one again."""

    @asynccontextmanager
    async def opened(
        people: FakeSubscribers | None = None,
        law: FakeConsent | None = None,
        *,
        backlog: int = 32,
        now_us: Callable[[], int] | None = None,
        **settings: Any,
    ) -> AsyncGenerator[World]:
        people, law, identity = people or FakeSubscribers(), law or FakeConsent(), FakeIdentity()
        platforms: list[Platform] = []

        def build_sending(platform: Platform) -> Service:
            platforms.append(platform)
            usual = {"role": "api,planner", "planner_backlog": backlog, "unverified_domains": "allow"}
            return build(platform, SendingSettings.model_validate({**usual, **settings}))

        builders = [
            fake("subscribers", add_SubscribersServiceServicer_to_server, people),
            fake("consent", add_ConsentServiceServicer_to_server, law),
            fake("identity", add_IdentityServiceServicer_to_server, identity),
            build_sending,
        ]
        async with mesh(tmp_path, builders, partitions=PARTITIONS, now_us=now_us) as m:
            identity.mesh, law.generation = m, platforms[0].generation
            world = World(m, platforms[0], people, law, identity)
            await world.tracking_tokens.start()
            watching = asyncio.create_task(world.parts.watch.run())
            try:
                yield world
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    return opened
