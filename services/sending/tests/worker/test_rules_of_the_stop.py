"""Rules of the stop that random schedules seldom come upon, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.bus import Bus, Received, Record
from postlaw_common.bus.generation import Generations
from postlaw_common.foreground import step_aside
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.await_stopped import Answer, AwaitStopped
from postlaw_sending.stop.holding import CLAIMED, DEFERRED, BatchRecord, Holding, OpenClaim
from postlaw_sending.stop.holdings import EpochRefused
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.stop.wire import CONSENT_EVENTS, WATERMARKS, Applied
from postlaw_sending.worker.hearing import Hearing
from services.sending.tests.worker.mill import PARTITIONS, Mill, Wire, person, running, until
from services.sending.tests.worker.test_worker_races import held


@promise("M6")
async def test_stopped_is_never_answered_on_an_earlier_holders_watermark(mill: Mill) -> None:
    """It has applied the withdrawal, and been overtaken by one that has not."""
    first = await mill.holdings.take(await mill.holdings.read(0), "first", mill.generation)
    assert first is not None
    tag, offset = await mill.withdraw(3)
    mark = Applied(0, offset, frozenset(), first.epoch, frozenset(), mill.generation)
    await mill.bus.publish([Record(WATERMARKS, 0, mark.to_bytes())])
    await until(lambda: mill.watermarks.latest(0, mill.generation) == mark)
    assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
    assert await mill.holdings.take(await mill.holdings.read(0), "second", mill.generation)
    assert not (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=0.5)).stopped


@promise("M6")
async def test_whoever_waits_for_a_watermark_takes_that_of_a_newer_holder(mill: Mill) -> None:
    first = await mill.holdings.take(await mill.holdings.read(0), "first", mill.generation)
    assert first is not None
    tag, offset = await mill.withdraw(3)
    asking = asyncio.create_task(mill.await_stopped(tag, 0, offset, mill.generation))
    await asyncio.sleep(0.1)
    second = await mill.holdings.take(await mill.holdings.read(0), "second", mill.generation)
    assert second is not None
    mark = Applied(0, offset, frozenset(), second.epoch, frozenset(), mill.generation)
    await mill.bus.publish([Record(WATERMARKS, 0, mark.to_bytes())])
    assert await asking == Answer(True, second.epoch)


async def test_however_late_its_watermark_comes_a_holder_is_looked_at_once(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    held_now = await mill.holdings.take(await mill.holdings.read(0), "first", mill.generation)
    assert held_now is not None
    read, looks = mill.holdings.read, list[int]()

    async def counted(partition: int) -> Holding:
        looks.append(partition)
        return await read(partition)

    monkeypatch.setattr(mill.holdings, "read", counted)
    tag, offset = await mill.withdraw(3)
    asking = asyncio.create_task(mill.await_stopped(tag, 0, offset, mill.generation))
    await until(lambda: bool(looks))
    for applied, waiting in ((offset - 1, frozenset[int]()), (offset, frozenset({offset})), (offset, frozenset[int]())):
        await asyncio.sleep(0.02)
        mark = Applied(0, applied, waiting, held_now.epoch, frozenset(), mill.generation)
        await mill.bus.publish([Record(WATERMARKS, 0, mark.to_bytes())])
    assert (await asking).stopped
    assert looks == [0]


@promise("M6")
async def test_whoever_judges_a_lost_holder_by_its_claims_has_overtaken_it(mill: Mill) -> None:
    """It may only be paused, and would claim the person a moment later."""
    paused = await mill.holdings.take(await mill.holdings.read(0), "paused", mill.generation)
    assert paused is not None
    tag, offset = await mill.withdraw(3)
    asking = AwaitStopped(mill.holdings, mill.watermarks, Observer(lease_s=0.6), Generations(mill.bus))
    assert (await asking(tag, 0, offset, mill.generation)).stopped
    paused.batches = [BatchRecord(0, "evt_1", 0, 0, bytes([CLAIMED]), bytes(4))]
    paused.claims = [OpenClaim(0, [0], [tag], "list:lst_1")]
    with pytest.raises(EpochRefused):
        await mill.holdings.write(paused, held_by="paused", fresh=[])


@promise("M6")
def test_there_is_no_permit_before_the_log_is_applied_up_to_its_end() -> None:
    gate = SecondGate(3, lambda: 10.0)
    gate.log_end_read(9.9, 5, 2.0)
    gate.advance(4)
    assert not gate.permitted()
    gate.advance(5)
    assert gate.permitted()


@promise("M6")
async def test_a_hand_off_under_way_is_held_against_permit_and_epoch_for_as_long_as_it_lasts(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(1))
    worker = mill.worker()
    async with running(worker):
        await until(lambda: len(mill.wire.begun) == 1)
        partition, may_go_on = worker.held[0], mill.wire.may_go_on
        assert may_go_on is not None
        assert may_go_on()
        granted, partition.gate.permit_until = partition.gate.permit_until, 0.0
        assert not may_go_on()
        partition.gate.permit_until = granted
        assert may_go_on()
        partition.lost = True
        assert not may_go_on()


@promise("M6")
async def test_an_overtaken_worker_attests_its_end_only_after_the_last_reply(mill: Mill) -> None:
    mill.wire.hold = True
    await mill.send_to(range(1))
    worker = mill.worker()
    async with running(worker):
        await until(lambda: len(mill.wire.begun) == 1)
        assert await mill.holdings.take(await mill.holdings.read(0), "second", mill.generation)
        await until(lambda: 0 not in worker.held)
        await asyncio.sleep(0.2)
        assert [entry.worker for entry in (await mill.holdings.read(0)).left_open] == [worker.id]
        mill.wire.answer(person(0).address)
        async with patience():
            while (await mill.holdings.read(0)).left_open:
                await asyncio.sleep(0.01)


@promise("M6")
async def test_a_record_that_cannot_be_read_halts_its_partition_and_no_other(mill: Mill) -> None:
    worker = mill.worker()
    async with running(worker):
        await until(lambda: len(worker.held) == PARTITIONS)
        [unreadable] = await mill.bus.publish([Record(CONSENT_EVENTS, 0, b"\xff\xff")])
        tag, offset = await mill.withdraw(3)
        other, there = await mill.withdraw(4, partition=1)
        assert (await mill.await_stopped(other, 1, there, mill.generation)).stopped
        assert not (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=0.5)).stopped
        assert worker.held[0].gate.next_offset == unreadable


@promise("M6")
async def test_a_batch_whose_gate_cannot_know_every_withdrawal_is_put_off(mill: Mill) -> None:
    """Decided on before a record that cannot be read, and taken by who came after it."""
    before = await mill.end_of_consent(0)
    await mill.bus.publish([Record(CONSENT_EVENTS, 0, b"\xff\xff")])
    worker = mill.worker()
    async with running(worker):
        await until(lambda: 0 in worker.held)
        await mill.send_to(range(5), consent_offset=before)
        [settled] = await mill.outcomes(1)
    assert set(settled.states) == {DEFERRED}
    assert mill.wire.begun == []


@promise("M6")
async def test_whoever_takes_a_partition_over_halts_at_what_cannot_be_read(mill: Mill) -> None:
    """A live batch was decided on before it: nothing more of that is sent."""
    mill.wire.hold = True
    await mill.send_to(range(40))
    async with running(mill.worker(lanes=1)):
        await until(lambda: len(mill.wire.begun) >= 32)
    [unreadable] = await mill.bus.publish([Record(CONSENT_EVENTS, 0, b"\xff\xff")])
    second = Wire()
    worker = mill.worker(second)
    async with running(worker):
        await until(lambda: 1 in worker.held and worker.held[1].gate.permitted())
        await until(lambda: 0 in worker.held)
        await asyncio.sleep(0.7)
        assert worker.held[0].gate.next_offset == unreadable
    assert second.begun == []


class Gap:
    """A consent partition in which the record at 3 is missing."""

    partitions = 1

    def __init__(self, value: bytes) -> None:
        self._record = Received(CONSENT_EVENTS, 0, 4, value, None, {}, 0)
        self.read_once = asyncio.Event()

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> Gap:
        return self

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None: ...

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        if self.read_once.is_set():
            await asyncio.sleep(timeout)
            return []
        self.read_once.set()
        return [self._record]

    async def close(self) -> None: ...


@promise("M6")
async def test_a_gap_in_the_consent_log_halts_the_partition() -> None:
    """Whatever stood there may have been a withdrawal."""
    bus = Gap(consent.ConsentEvent(tenant_id="ten_1", address_key=b"key", kind=consent.ConsentEvent.KIND_WITHDRAWN).SerializeToString())
    gate = SecondGate(3)
    hearing = Hearing(cast("Bus", bus), {0: held(gate)}, cast("Generations", None), lambda: None)
    tailing = asyncio.create_task(hearing.tail())
    await bus.read_once.wait()
    await asyncio.sleep(0.05)
    tailing.cancel()
    await asyncio.gather(tailing, return_exceptions=True)
    assert gate.next_offset == 3


@pytest.mark.parametrize(
    ("kind", "route", "awaited"),
    [
        (consent.ConsentEvent.KIND_WITHDRAWN, consent.ROUTE_ONE_CLICK, True),
        (consent.ConsentEvent.KIND_OBJECTED, consent.ROUTE_API, True),
        (consent.ConsentEvent.KIND_WITHDRAWN, consent.ROUTE_IMPORT, False),
        (consent.ConsentEvent.KIND_BOUNCED, consent.ROUTE_API, False),
        (consent.ConsentEvent.KIND_GIVEN, consent.ROUTE_API, False),
    ],
)
async def test_lanes_are_told_of_withdrawals_for_which_somebody_waits(kind: Any, route: Any, awaited: bool) -> None:
    event = consent.ConsentEvent(tenant_id="ten_1", address_key=b"key", kind=kind, route=route)
    gate, told = SecondGate(4), list[bool]()
    hearing = Hearing(cast("Bus", Gap(event.SerializeToString())), {0: held(gate)}, cast("Generations", None), lambda: told.append(True))
    tailing = asyncio.create_task(hearing.tail())
    await until(lambda: gate.next_offset == 5)
    tailing.cancel()
    await asyncio.gather(tailing, return_exceptions=True)
    assert told == [True] * awaited


class SlowToPublish:
    """A bus that says when it is asked to publish, and does once it is released."""

    def __init__(self) -> None:
        self.asked, self.release = asyncio.Event(), asyncio.Event()

    async def publish(self, records: Sequence[Record]) -> list[int]:
        self.asked.set()
        await self.release.wait()
        return [0] * len(records)


async def test_while_a_watermark_goes_out_the_workers_lanes_step_aside() -> None:
    bus = SlowToPublish()
    hearing = Hearing(cast("Bus", bus), {0: held(SecondGate(0))}, cast("Generations", None), lambda: None)
    publishing = asyncio.create_task(hearing.publish_marks())
    hearing.mark(0)
    await bus.asked.wait()
    assert await passes_given_away() > 1
    bus.release.set()
    await asyncio.sleep(0.01)
    assert await passes_given_away() == 1
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)


async def passes_given_away() -> int:
    """Passes of the event loop that background work gives to others between two of its turns."""
    passes = 0

    async def count() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await step_aside()
    counting.cancel()
    return passes


@promise("M6")
def test_only_the_very_holding_that_stood_still_counts_as_lost() -> None:
    clock = iter([0.0, 0.6, 1.2])
    observer = Observer(lease_s=1.0, monotonic=lambda: next(clock))
    for _ in range(3):
        observer.observe([Holding(0, "first", 1)])
    assert observer.is_lost(Holding(0, "first", 1))
    assert not observer.is_lost(Holding(0, "second", 2))
