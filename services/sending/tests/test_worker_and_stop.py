"""The worker and the stop together, on the embedded bus and store, against connections whose replies the test gives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.bus.embedded import EmbeddedBus
from postlaw_common.bus.generation import Generations
from postlaw_common.store import Store
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_common.testing.promises import promise
from postlaw_sending.delivery.replies import Kind, Reply
from postlaw_sending.stop.await_stopped import AwaitStopped
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, REFUSED, SENT, UNKNOWN
from postlaw_sending.stop.holdings import HOLDINGS, Holdings
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.scope import recipient_tag
from postlaw_sending.stop.watermarks import Watermarks
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, WATERMARKS
from postlaw_sending.worker.live_batch import Recipient
from postlaw_sending.worker.ownership import WORKERS
from postlaw_sending.worker.worker import Outside, Worker

PARTITIONS = 4
TENANT = "ten_1"
LIST = consent.Scope(list_id="lst_1")


@dataclass
class Person:
    address_key: bytes
    subscriber_id: str
    address: str
    refusals: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict[str, str])
    opt_out_token: bytes = b""


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
    """A receiver in the test's hands: `hold` keeps final replies back until `answer`."""

    hold: bool = False
    kind: Kind = "accepted"
    under_way: dict[str, list[Callable[[Reply], None]]] = field(default_factory=dict[str, list[Callable[[Reply], None]]])
    begun: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    ended: dict[str, int] = field(default_factory=dict[str, int])
    has_room: bool = True

    async def room(self) -> bool:
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
        self.under_way.setdefault(to, []).append(done)
        if not self.hold:
            asyncio.get_running_loop().call_later(0.001, self.answer, to)

    def answer(self, to: str) -> None:
        done = self.under_way[to].pop()
        self.ended[to] = time.time_ns()
        done(Reply(self.kind, 250, "ok", time.time_ns() // 1000))


def person(i: int) -> Person:
    return Person(b"\x01" + i.to_bytes(32, "big"), f"sub_{i}", f"user{i}@example.com")


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
        self.batches: dict[int, int] = {}

    def worker(self, wire: Wire | None = None, lanes: int = 2) -> Worker:
        async def connection() -> Wire:
            return wire or self.wire

        async def open_batch(sealed: sending.SealedBatch, partition: int) -> Opened:
            return Opened([person(int(i)) for i in sealed.sealed.decode().split()])

        sources: list[Callable[[], Awaitable[Wire]]] = [connection] * lanes
        outside = Outside(
            self.bus,
            Generations(self.bus),
            self.holdings,
            lambda: self.store.collection(WORKERS.name),
            open_batch,
            lambda campaign: self.status.get(campaign, "sending"),
            list(sources),
        )
        return Worker(outside)

    async def send_to(self, people: range, partition: int = 0, campaign: str = "cmp_1", consent_offset: int | None = None) -> None:
        batch = self.batches.get(partition, 0)
        self.batches[partition] = batch + 1
        end = await self.end_of_consent(partition) if consent_offset is None else consent_offset
        job = sending.SealedBatch(
            tenant_id=TENANT,
            campaign_id=campaign,
            batch=batch,
            scope=LIST,
            consent_offset=end,
            size=len(people),
            sealed=" ".join(map(str, people)).encode(),
            generation=self.generation,
        )
        await self.bus.publish([Record(JOBS, partition, job.SerializeToString())])

    async def end_of_consent(self, partition: int) -> int:
        client = await self.bus.end_offset_client()
        ends = await client.end_offsets([(CONSENT_EVENTS, partition)])
        await client.close()
        return ends[(CONSENT_EVENTS, partition)]

    async def withdraw(self, i: int, partition: int = 0, scope: consent.Scope = LIST) -> tuple[bytes, int]:
        event = consent.ConsentEvent(
            tenant_id=TENANT, address_key=person(i).address_key, kind=consent.ConsentEvent.KIND_WITHDRAWN, scope=scope
        )
        [offset] = await self.bus.publish([Record(CONSENT_EVENTS, partition, event.SerializeToString())])
        return recipient_tag(TENANT, person(i).address_key), offset

    async def outcomes(self, count: int, partition: int = 0) -> list[sending.BatchSettled]:
        """Waits for that many settled batches."""
        reader = await self.bus.reader()
        await reader.assign({(OUTCOMES, partition): 0})
        found: list[sending.BatchSettled] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                found += [sending.BatchSettled.FromString(record.value) for record in await reader.read()]
        await reader.close()
        return found


@pytest.fixture
async def mill(tmp_path: Path) -> AsyncGenerator[Mill]:
    bus = EmbeddedBus(str(tmp_path), partitions=PARTITIONS)
    store = EmbeddedStore(str(tmp_path), "sending")
    await bus.start()
    await bus.ensure_topics([Topic(name) for name in (CONSENT_EVENTS, JOBS, WATERMARKS, OUTCOMES)])
    await store.start([HOLDINGS, WORKERS])
    mill = Mill(bus, store)
    await mill.holdings.ensure()
    mill.generation = await Generations(bus).begin()
    watching = asyncio.create_task(mill.watermarks.run())
    yield mill
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    await store.close()
    await bus.close()


@contextlib.asynccontextmanager
async def running(worker: Worker) -> AsyncGenerator[Worker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@promise("M6")
async def test_everybody_is_mailed_once_and_the_states_say_so(mill: Mill) -> None:
    async with running(mill.worker()):
        for start in range(0, 600, 200):
            await mill.send_to(range(start, start + 200))
        settled = await mill.outcomes(3)
    assert [set(batch.states) for batch in settled] == [{SENT}] * 3
    assert sorted(to for to, _ in mill.wire.begun) == sorted(person(i).address for i in range(600))


@promise("M6")
async def test_a_stopped_person_is_never_mailed(mill: Mill) -> None:
    """The withdrawal comes after the first gate decided: the second gate refuses."""
    await mill.send_to(range(10))
    tag, offset = await mill.withdraw(3)
    async with running(mill.worker()):
        answer = await mill.await_stopped(tag, 0, offset, mill.generation)
        [settled] = await mill.outcomes(1)
    assert answer.stopped
    assert settled.states[3] == REFUSED
    assert settled.reason_texts[settled.reasons[3] - 1] == "withdrawn_before_hand_off"
    assert person(3).address not in {to for to, _ in mill.wire.begun}


@promise("M6")
async def test_stopped_is_not_answered_while_a_hand_off_is_under_way(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(3))
    async with running(mill.worker()):
        await until(lambda: len(mill.wire.begun) == 3)
        tag, offset = await mill.withdraw(1)
        asked = asyncio.create_task(mill.await_stopped(tag, 0, offset, mill.generation))
        await asyncio.sleep(0.3)
        assert not asked.done()
        mill.wire.answer(person(1).address)
        answer = await asked
        assert answer.stopped
        assert mill.wire.ended[person(1).address] <= time.time_ns()


@promise("M6")
async def test_a_slow_receiver_delays_only_its_own_person(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(3))
    async with running(mill.worker()):
        await until(lambda: len(mill.wire.begun) == 3)
        slow = await mill.withdraw(1)
        other = await mill.withdraw(77)
        assert (await mill.await_stopped(other[0], 0, other[1], mill.generation)).stopped
        assert not (await mill.await_stopped(slow[0], 0, slow[1], mill.generation, within_s=0.2)).stopped


@promise("M6")
async def test_another_scope_does_not_stop_this_message(mill: Mill) -> None:
    await mill.send_to(range(3))
    await mill.withdraw(1, scope=consent.Scope(topic="prices"))
    async with running(mill.worker()):
        [settled] = await mill.outcomes(1)
    assert set(settled.states) == {SENT}


@promise("M6")
async def test_what_a_lost_worker_left_open_is_recorded_not_stopped_and_never_repeated(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(40))
    lost = mill.worker(lanes=1)
    async with running(lost):
        await until(lambda: len(mill.wire.begun) >= 32)
    begun = {to for to, _ in mill.wire.begun}
    second = Wire()
    async with running(mill.worker(second)):
        [settled] = await mill.outcomes(1)
        open_person = next(i for i in range(40) if person(i).address in begun)
        tag, offset = await mill.withdraw(open_person)
        answer = await mill.await_stopped(tag, 0, offset, mill.generation)
        assert not answer.stopped
        assert "lost" in answer.reason
        tag, offset = await mill.withdraw(1000)
        assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
        assert await mill.holdings.attest_end(lost.id) >= len(begun)
        tag, offset = await mill.withdraw(open_person)
        await asyncio.sleep(1.2)
        assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
    assert not begun & {to for to, _ in second.begun}
    assert {settled.states[i] for i in range(40) if person(i).address in begun} == {UNKNOWN}
    assert (
        len(begun) + len(second.begun) + sum(1 for i in range(40) if settled.states[i] == UNKNOWN and person(i).address not in begun) == 40
    )


@promise("M6")
async def test_with_no_worker_at_all_stopped_is_answered_from_the_claims(mill: Mill) -> None:
    tag, offset = await mill.withdraw(5)
    assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped


async def test_partitions_are_shared_between_workers(mill: Mill) -> None:
    first, second = mill.worker(), mill.worker()
    async with running(first):
        await until(lambda: len(first.held) == PARTITIONS)
        async with running(second):
            await until(lambda: len(first.held) == len(second.held) == PARTITIONS // 2)


async def test_a_worker_that_stops_in_order_leaves_nothing_open(mill: Mill) -> None:
    worker = mill.worker()
    async with running(worker):
        await mill.send_to(range(200))
        await until(lambda: len(mill.wire.begun) > 20)
        await worker.stop()
        holding = await mill.holdings.read(0)
        assert holding.owner is None
        assert holding.claims == []
        assert holding.left_open == []
    second = Wire()
    async with running(mill.worker(second)):
        [settled] = await mill.outcomes(1)
    assert set(settled.states) == {SENT}
    assert len(mill.wire.begun) + len(second.begun) == 200


async def test_pause_and_cancel_act_at_the_gate(mill: Mill) -> None:
    mill.status = {"cmp_1": "paused", "cmp_2": "cancelled"}
    async with running(mill.worker()):
        await mill.send_to(range(10))
        await mill.send_to(range(10, 20), campaign="cmp_2", partition=1)
        [paused], [cancelled] = await mill.outcomes(1), await mill.outcomes(1, partition=1)
    assert set(paused.states) == {DEFERRED}
    assert set(cancelled.states) == {REFUSED}
    assert mill.wire.begun == []


@pytest.mark.parametrize(("kind", "state"), [("rejected", BOUNCED), ("deferred", DEFERRED), ("dropped", UNKNOWN)])
async def test_each_reply_settles_its_recipient(mill: Mill, kind: Kind, state: int) -> None:
    mill.wire.kind = kind
    async with running(mill.worker()):
        await mill.send_to(range(5))
        [settled] = await mill.outcomes(1)
    assert set(settled.states) == {state}


async def test_a_batch_published_twice_is_taken_once(mill: Mill) -> None:
    async with running(mill.worker()):
        await mill.send_to(range(5))
        mill.batches[0] = 0
        await mill.send_to(range(5))
        await mill.send_to(range(5, 10))
        await mill.outcomes(2)
    assert len(mill.wire.begun) == 10


@promise("M6")
async def test_withdrawals_from_before_the_window_are_fetched(mill: Mill) -> None:
    """The worker took the partition after the withdrawal; the batch was decided on before it."""
    before = await mill.end_of_consent(0)
    await mill.withdraw(3)
    worker = mill.worker()
    async with running(worker):
        await until(lambda: 0 in worker.held)
        await mill.send_to(range(5), consent_offset=before)
        [settled] = await mill.outcomes(1)
    assert settled.states[3] == REFUSED


@promise("M6")
async def test_without_contact_to_the_bus_nothing_is_sent(mill: Mill) -> None:
    worker = mill.worker()
    async with running(worker):
        await until(lambda: len(worker.held) == PARTITIONS and all(p.gate.permitted() for p in worker.held.values()))
        for partition in worker.held.values():
            partition.gate.permit_until = 0.0
            partition.gate.log_end_read = lambda *_: None  # pyright: ignore[reportAttributeAccessIssue]
        await mill.send_to(range(5))
        await asyncio.sleep(0.5)
    assert mill.wire.begun == []
