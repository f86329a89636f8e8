"""One small installation of sending: the worker and the stop on the embedded bus and store, and a receiver in the test's hands."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Record
from postlaw_common.bus.generation import Generations
from postlaw_common.errors import Unavailable
from postlaw_common.store import Store
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_sending.delivery.replies import Kind, Reply
from postlaw_sending.mx.assembly import Straight
from postlaw_sending.stop.await_stopped import AwaitStopped
from postlaw_sending.stop.holdings import HOLDINGS, Holdings
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.relay_queue import RelayQueue
from postlaw_sending.stop.scope import recipient_tag
from postlaw_sending.stop.watermarks import Watermarks
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, SINGLES
from postlaw_sending.worker.live_batch import Recipient
from postlaw_sending.worker.ownership import WORKERS
from postlaw_sending.worker.worker import Outside, Worker

PARTITIONS = 4
TENANT = "ten_1"
LIST = consent.Scope(list_id="lst_1")
NEVER_US = 1 << 62


@dataclass
class Person:
    address_key: bytes
    subscriber_id: str
    address: str
    refusals: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict[str, str])
    opt_out_token: bytes = b""
    footer: int = 0
    tracking: int = 0


class PlainCampaign:
    def render(self, recipient: Recipient) -> bytes:
        return b"hello " + recipient.address.encode()

    def envelope_from(self, recipient: Recipient) -> bytes:
        return b"sender@example.org"


@dataclass
class Opened:
    recipients: list[Person]
    compiled: PlainCampaign = field(default_factory=PlainCampaign)


@dataclass
class Wire:
    """A receiver in the test's hands: `hold` keeps final replies back until `answer`; `one_by_one`: until then it takes no other."""

    hold: bool = False
    one_by_one: bool = False
    kind: Kind = "accepted"
    under_way: dict[str, list[Callable[[Reply], None]]] = field(default_factory=dict[str, list[Callable[[Reply], None]]])
    begun: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    ended: dict[str, int] = field(default_factory=dict[str, int])
    may_go_on: Callable[[], bool] | None = None  # of the last hand-off
    transport: int = 3

    @property
    def has_room(self) -> bool:
        return not (self.one_by_one and any(self.under_way.values()))

    async def room(self) -> bool:
        await asyncio.sleep(0)
        while not self.has_room:
            await asyncio.sleep(0)
        return True

    def cork(self) -> None:
        """Writes at once all the same."""

    def uncork(self) -> None:
        """Nothing was held back."""

    def cut_off(self) -> None:
        """Every message is written at once and whole."""

    def hand_off(
        self, sender: bytes, recipient: bytes, message: bytes, done: Callable[[Reply], None], may_go_on: Callable[[], bool]
    ) -> None:
        to = recipient.decode()
        self.begun.append((to, time.time_ns()))
        self.may_go_on = may_go_on
        self.under_way.setdefault(to, []).append(done)
        if not self.hold:
            asyncio.get_running_loop().call_later(0.001, self.answer, to)

    def answer(self, to: str) -> None:
        done = self.under_way[to].pop()
        self.ended[to] = time.time_ns()
        done(Reply(self.kind, 250, "ok", time.time_ns() // 1000))


def person(i: int, domain: str = "example.com") -> Person:
    return Person(b"\x01" + i.to_bytes(32, "big"), f"sub_{i}", f"user{i}@{domain}")


class Mill:
    """One installation of sending, small."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self.bus = bus
        self.store = store
        self.wire = Wire()
        self.holdings = Holdings(lambda: store.collection(HOLDINGS.name), PARTITIONS)
        self.watermarks = Watermarks(bus)
        self.await_stopped = AwaitStopped(self.holdings, self.watermarks, Observer(), Generations(bus))
        self.generation = ""
        self.status: dict[str, str] = {}
        self.keys_away: set[str] = set()  # campaigns whose batches cannot be opened now
        self.batches: dict[int, int] = {}
        self.domains: dict[int, str] = {}  # of people who are not at example.com

    def worker(
        self,
        wire: Wire | None = None,
        lanes: int = 2,
        generations: Generations | None = None,
        straight: Straight | None = None,
        relay_queue: RelayQueue | None = None,
    ) -> Worker:
        async def connection() -> Wire:
            return wire or self.wire

        async def open_batch(sealed: sending.SealedBatch, partition: int) -> Opened:
            if sealed.campaign_id in self.keys_away:
                raise Unavailable("taken away by the test")
            return Opened([person(int(i), self.domains.get(int(i), "example.com")) for i in sealed.sealed.decode().split()])

        sources: list[Callable[[], Awaitable[Wire]]] = [connection] * lanes
        outside = Outside(
            self.bus,
            generations or Generations(self.bus),
            self.holdings,
            lambda: self.store.collection(WORKERS.name),
            open_batch,
            lambda campaign: self.status.get(campaign, "sending"),
            list(sources) if straight is None else [],
            straight.exchange if straight is not None else None,
            straight.router if straight is not None else None,
            relay_queue,
        )
        return Worker(outside)

    async def send_to(
        self,
        people: range,
        partition: int = 0,
        campaign: str = "cmp_1",
        consent_offset: int | None = None,
        expires_at_us: int = NEVER_US,
        brand: str = "",
        transactional: bool = False,
    ) -> None:
        batch = self.batches.get(partition, 0)
        self.batches[partition] = batch + 1
        end = await self.end_of_consent(partition) if consent_offset is None else consent_offset
        job = sending.SealedBatch(
            tenant_id=TENANT,
            campaign_id=campaign,
            batch=batch,
            scope=LIST,
            brand=brand,
            transactional=transactional,
            consent_offset=end,
            law_version="law-1",
            inputs_hash=b"inputs",
            decided_at_us=1_700_000_000_000_001,
            expires_at_us=expires_at_us,
            size=len(people),
            sealed=" ".join(map(str, people)).encode(),
            generation=self.generation,
        )
        await self.bus.publish([Record(JOBS, partition, job.SerializeToString())])

    async def send_single(self, i: int, partition: int = 0) -> None:
        """To one person, as an attempt of theirs."""
        job = sending.SealedBatch(
            tenant_id=TENANT,
            campaign_id=f"msg_{i}",
            scope=LIST,
            consent_offset=await self.end_of_consent(partition),
            expires_at_us=NEVER_US,
            size=1,
            sealed=str(i).encode(),
            generation=self.generation,
        )
        await self.bus.publish([Record(SINGLES, partition, job.SerializeToString())])

    async def end_of_consent(self, partition: int) -> int:
        client = await self.bus.end_offset_client()
        ends = await client.end_offsets([(CONSENT_EVENTS, partition)])
        await client.close()
        return ends[(CONSENT_EVENTS, partition)]

    async def withdraw(
        self,
        i: int,
        partition: int = 0,
        scope: consent.Scope = LIST,
        kind: consent.ConsentEvent.Kind.ValueType = consent.ConsentEvent.KIND_WITHDRAWN,
    ) -> tuple[bytes, int]:
        """(the person's tag, the event's offset); `kind`: another event than a withdrawal."""
        event = consent.ConsentEvent(tenant_id=TENANT, address_key=person(i).address_key, kind=kind, scope=scope)
        [offset] = await self.bus.publish([Record(CONSENT_EVENTS, partition, event.SerializeToString())])
        return recipient_tag(TENANT, person(i).address_key), offset

    async def outcomes(self, count: int, partition: int = 0) -> list[sending.BatchSettled]:
        """Waits for that many settled batches."""
        reader = await self.bus.reader()
        await reader.assign({(OUTCOMES, partition): 0})
        found: list[sending.BatchSettled] = []
        async with patience():
            while len(found) < count:
                found += [sending.BatchSettled.FromString(record.value) for record in await reader.read()]
        await reader.close()
        return found


@contextlib.asynccontextmanager
async def running(worker: Worker) -> AsyncGenerator[Worker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
