"""Subscribers on embedded adapters and real gRPC; identity and consent are fakes that keep what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2, consent_pb2_grpc
from postlaw.identity.v1 import context_pb2, identity_pb2, identity_pb2_grpc
from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw.subscribers.v1 import subscribers_pb2_grpc
from postlaw_common.caller import Actor, Caller, current
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.events import Event, from_record
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import patience
from postlaw_subscribers.rooms import TOPIC
from postlaw_subscribers.service import build
from postlaw_subscribers.settings import SubscribersSettings

ATTESTED: dict[str, Any] = {"source": "the shop's checkout", "wording": "Yes, send me news.", "attested_by": "Ada Example"}
SCOPES = ("lists:read", "lists:write", "subscribers:read", "subscribers:write", "audience:read")


class FakeIdentity:
    mesh: Mesh

    async def IssueServiceContext(self, request: Any, context: Any) -> identity_pb2.IssuedContext:
        caller = self.mesh.caller(request.tenant_id, request.scopes, actor=Actor("service", "subscribers"))
        signed = context_pb2.SignedContext.FromString(caller.signed)
        return identity_pb2.IssuedContext(context=context_pb2.CallerContext.FromString(signed.context), signed=signed)

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()


class FakeConsent:
    """Idempotent by (person, idempotency key), as the contract says. `away` makes it unavailable; `calls` counts the calls."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, bytes, str], consent_pb2.ConsentRecord] = {}
        self.variants: list[int] = []  # of each call
        self.suppressed: dict[tuple[str, bytes], tuple[str, str]] = {}  # by customer and person: whose list, and the key
        self.away = False
        self.calls = 0
        self.remarks: list[str] = []  # fields that each answer remarks on
        self.stops = 0  # calls of SuppressMany
        self.everywhere: dict[tuple[str, bytes], str] = {}  # by customer and person: the reason
        self.under_way: set[str] = set()  # customers where a stop cannot be confirmed
        self.refusing: set[str] = set()  # customers of whom nothing is taken
        self.hold: asyncio.Event | None = None

    async def RecordConsentOfMany(
        self, request: consent_pb2.RecordConsentOfManyRequest, context: Any
    ) -> consent_pb2.RecordConsentOfManyResponse:
        self.calls += 1
        self.variants.append(len(request.variants))
        if self.hold is not None:
            await self.hold.wait()
        if self.away:
            raise Unavailable("away")
        if min(request.given_at_us, default=0) < 0:
            raise Invalid("as consent itself says")
        for place, address_key in enumerate(request.address_keys):
            record = consent_pb2.ConsentRecord()
            record.CopyFrom(request.consent)
            record.address_key = address_key
            if request.variant_of and (variant := request.variant_of[place]):
                record.particulars.CopyFrom(request.variants[variant - 1])
            if request.given_at_us and (at_us := request.given_at_us[place]):
                record.given_at.FromMicroseconds(at_us)
            if request.sealed_proof_evidence:
                record.sealed_proof_evidence = request.sealed_proof_evidence[place]
            self.records.setdefault((current().tenant_id, address_key, record.idempotency_key), record)
        return consent_pb2.RecordConsentOfManyResponse(remarks=[consent_pb2.Remark(field=field) for field in self.remarks])

    async def SuppressMany(self, request: consent_pb2.SuppressManyRequest, context: Any) -> consent_pb2.SuppressManyResponse:
        self.stops += 1
        if self.away:
            raise Unavailable("away")
        already: list[int] = []
        if request.platform:
            for address_key in request.address_keys:
                self.everywhere.setdefault((current().tenant_id, address_key), request.source)
            return consent_pb2.SuppressManyResponse()
        for place, address_key in enumerate(request.address_keys):
            act = (request.source, request.idempotency_key)
            if self.suppressed.setdefault((current().tenant_id, address_key), act) != act:
                already.append(place)
        return consent_pb2.SuppressManyResponse(already_suppressed=already)

    async def StopForPlatform(self, request: consent_pb2.PlatformStopRequest, context: Any) -> consent_pb2.Withdrawal:
        tenant_id = current().tenant_id
        if tenant_id in self.refusing:
            raise Unavailable("away")
        self.everywhere.setdefault((tenant_id, request.address_key), request.source)
        outcome = consent_pb2.OUTCOME_RECORDED if tenant_id in self.under_way else consent_pb2.OUTCOME_STOPPED
        return consent_pb2.Withdrawal(outcome=outcome)

    async def LiftForPlatform(self, request: consent_pb2.PlatformStopRequest, context: Any) -> consent_pb2.PlatformStopLifted:
        stood = self.everywhere.pop((current().tenant_id, request.address_key), None)
        return consent_pb2.PlatformStopLifted(lifted=stood is not None)


class World:
    """One installation's subscribers service, which can be stopped and started again on the same state."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.identity = FakeIdentity()
        self.consent = FakeConsent()
        self.settings = SubscribersSettings(upload_max_bytes=1 << 31, import_lease_s=0.3, outbox_sweep_s=0.2)
        self.piece = 100_000  # bytes a message of an upload
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        collaborators = [
            fake("identity", identity_pb2_grpc.add_IdentityServiceServicer_to_server, self.identity),
            fake("consent", consent_pb2_grpc.add_ConsentServiceServicer_to_server, self.consent),
        ]
        running = mesh(self.state, [*collaborators, lambda platform: build(platform, self.settings)], partitions=4)
        self.mesh = await self._stack.enter_async_context(running)
        self.identity.mesh = self.mesh

    async def stop(self) -> None:
        await self._stack.aclose()

    @property
    def backing(self) -> Any:
        return self.mesh.running.backing

    def stub(
        self, tenant_id: str = "ten_a", *, scopes: Iterable[str] = SCOPES, as_service: str = "gateway", caller: Caller | None = None
    ) -> Any:
        channel = self.mesh.channel("subscribers", as_service=as_service, caller=caller or self.mesh.caller(tenant_id, scopes))
        return subscribers_pb2_grpc.SubscribersServiceStub(channel)

    async def make_list(self, tenant_id: str = "ten_a", name: str = "News") -> str:
        return (await self.stub(tenant_id).CreateList(pb.CreateListRequest(name=name))).list_id

    async def upload(self, list_id: str, data: bytes, **settings: Any) -> pb.Import:
        """Starts an import; `settings` are ImportSettings' fields, and `upload_stream`'s."""

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 100_000):
                yield data[start : start + 100_000]

        return await self.upload_stream(list_id, chunks(), **settings)

    async def upload_stream(
        self,
        list_id: str,
        chunks: AsyncIterator[bytes],
        *,
        tenant_id: str = "ten_a",
        consent: bool = True,
        attested: dict[str, Any] | None = None,
        **settings: Any,
    ) -> pb.Import:
        """`attested`: what is attested beside the usual."""
        attestation = pb.ImportConsent(**(ATTESTED | (attested or {})))
        told = pb.ImportSettings(list_id=list_id, consent=attestation if consent else None, **settings)

        async def requests() -> AsyncIterator[pb.CreateImportRequest]:
            yield pb.CreateImportRequest(settings=told)
            async for chunk in chunks:
                yield pb.CreateImportRequest(chunk=chunk)

        return await self.stub(tenant_id).CreateImport(requests())

    async def finished(self, started: pb.Import, *, tenant_id: str = "ten_a", within_s: float = 60) -> pb.Import:
        """The import once it is over."""
        stub = self.stub(tenant_id)
        over = (pb.Import.STATE_DONE, pb.Import.STATE_FAILED, pb.Import.STATE_CANCELLED)
        async with asyncio.timeout(within_s):
            while True:
                now: pb.Import = await stub.GetImport(pb.GetImportRequest(import_id=started.import_id))
                if now.state in over:
                    return now
                await asyncio.sleep(0.01)

    async def imported(self, list_id: str, data: bytes, **settings: Any) -> pb.Import:
        tenant_id = settings.get("tenant_id", "ten_a")
        return await self.finished(await self.upload(list_id, data, **settings), tenant_id=tenant_id)

    async def report(self, import_id: str) -> str:
        chunks = [chunk.data async for chunk in self.stub().GetImportErrors(pb.GetImportRequest(import_id=import_id))]
        return b"".join(chunks).decode()

    async def audience(self, list_id: str, tenant_id: str = "ten_a") -> list[pb.AudienceMember]:
        stub = self.stub(tenant_id, as_service="sending")
        members: list[pb.AudienceMember] = []
        for partition in range(4):
            async for page in stub.StreamAudience(pb.StreamAudienceRequest(list_id=list_id, partition=partition, page_size=7)):
                members += pb.AudiencePeople.FromString(page.people).members
        return members

    async def events(self) -> list[Event]:
        """All that subscribers has announced so far."""
        bus = self.backing.bus
        ends = await (await bus.end_offset_client()).end_offsets([(TOPIC, partition) for partition in range(4)])
        found: list[Event] = []
        for (topic, partition), end in ends.items():
            found += [from_record(record) for record in await bus.read_range(topic, partition, 0, end)]
        return sorted(found, key=lambda event: event.time_us)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Polls a durable effect that has no event; fails after ten seconds."""

    async def wait(holds: Callable[[], Awaitable[bool]]) -> None:
        async with patience():
            while not await holds():
                await asyncio.sleep(0.01)

    return wait
