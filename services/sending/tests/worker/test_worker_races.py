"""What may happen between a worker's question and its answer: a partition lost and taken again, a window narrowed, a long silence."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Received
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import Holding, Place
from postlaw_sending.stop.holdings import Holdings
from postlaw_sending.stop.observing import LEASE_S, Observer
from postlaw_sending.stop.scope import recipient_tag
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS
from postlaw_sending.worker.jobs import Jobs, OpenBatch
from postlaw_sending.worker.live_batch import LiveBatch
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.wire import live_batch

Range = Callable[[int, int], Awaitable[list[Received]]]


async def no_opener(sealed: sending.SealedBatch, partition: int) -> OpenBatch:
    raise AssertionError("nothing is opened here")


async def publish_nothing(partition: HeldPartition, finished: list[LiveBatch]) -> None: ...


def held(gate: SecondGate, job_offset: int = 0) -> HeldPartition:
    holdings = Holdings(lambda: cast("Any", None), 1)
    return HeldPartition(Holding(0, "me", 1, job_offset=job_offset), gate, holdings, publish_nothing, lambda: None, lambda _: None)


class Log:
    """A bus of one partition in the test's hands: `read` gives what `batches` holds once it is there."""

    partitions = 1

    def __init__(self, range: Range | None = None) -> None:
        self._range = range
        self.batches: deque[list[Received]] = deque()
        self.asked = asyncio.Event()
        self.assigned: list[int] = []

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> Log:
        return self

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None:
        self.assigned.append(positions[JOBS, 0])

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        self.asked.set()
        while not self.batches:
            await asyncio.sleep(0.001)
        return self.batches.popleft()

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        assert topic == CONSENT_EVENTS
        assert self._range is not None
        return await self._range(start, end)

    async def close(self) -> None: ...


def withdrawal_at(offset: int) -> Received:
    event = consent.ConsentEvent(tenant_id="ten_1", address_key=b"key", kind=consent.ConsentEvent.KIND_WITHDRAWN)
    return Received(CONSENT_EVENTS, 0, offset, event.SerializeToString(), None, {}, 0)


@promise("M6")
async def test_a_window_that_is_narrowed_during_a_look_back_is_looked_at_again() -> None:
    """The withdrawal at 12 is forgotten while 3 to 9 are fetched; the batch was decided on before it."""
    gate = SecondGate(10)
    partition = held(gate)
    gate.apply(12, recipient_tag("ten_1", b"key"), "*")
    gate.advance(20)

    async def fetch(start: int, end: int) -> list[Received]:
        if gate.window_start == 10:
            gate.forget_before(15)
        return [withdrawal_at(12)] if start <= 12 < end else []

    jobs = Jobs(cast("Bus", Log(fetch)), {0: partition}, no_opener, lambda: True)
    batch = live_batch(Place(False, 0), sending.SealedBatch(tenant_id="ten_1", consent_offset=3), [], cast("Any", None), None)
    await jobs.look_back(partition, batch)
    assert gate.window_start == 3
    assert gate.blocks(recipient_tag("ten_1", b"key"), "*", 3)


async def test_jobs_read_for_an_earlier_holding_are_read_again() -> None:
    """Lost and taken again while a read is under way: what it returns lies beyond what the ledger says was taken."""
    log = Log()
    mine = {0: held(SecondGate(0), job_offset=10)}
    jobs = Jobs(cast("Bus", log), mine, no_opener, lambda: False)
    tailing = asyncio.create_task(jobs.tail())
    await log.asked.wait()
    mine[0] = held(SecondGate(0), job_offset=5)
    jobs.reassign()
    log.batches.append([Received(JOBS, 0, 10, b"", None, {}, 0)])
    log.asked.clear()
    await log.asked.wait()
    tailing.cancel()
    with suppress(asyncio.CancelledError):
        await tailing
    assert log.assigned == [10, 5]
    assert not any(mine[0].records.values())


class SlowHoldings:
    """Keeps each write back until `go`; remembers whom it named as the owner."""

    def __init__(self) -> None:
        self.owners: list[str | None] = []
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def write(self, holding: Holding, *, held_by: str, fresh: list[Any]) -> None:
        self.owners.append(holding.owner)
        self.asked.set()
        await self.go.wait()


async def test_a_write_that_was_under_way_when_a_partition_is_handed_back_does_not_count_as_the_hand_back() -> None:
    holdings = SlowHoldings()
    gate = SecondGate(0)
    partition = HeldPartition(Holding(0, "me", 1), gate, cast("Holdings", holdings), publish_nothing, lambda: None, lambda _: None)
    keeping = asyncio.create_task(partition.keep())
    partition.touch()
    await holdings.asked.wait()
    releasing = asyncio.create_task(partition.release(10))
    await asyncio.sleep(0.05)
    holdings.go.set()
    await releasing
    await keeping
    assert partition.released
    assert holdings.owners == ["me", None]


def test_whoever_could_not_look_begins_anew() -> None:
    clock = iter([0.0, LEASE_S / 2, LEASE_S * 3, LEASE_S * 3 + LEASE_S / 2, LEASE_S * 4])
    observer = Observer(monotonic=lambda: next(clock))
    still = Holding(0, "another", 1)
    lost: list[bool] = []
    for _ in range(5):
        observer.observe([still])
        lost.append(observer.is_lost(still))
    assert lost == [False, False, False, False, True]
