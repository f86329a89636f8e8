"""A worker alone, with nobody saying stop: each batch taken once, each recipient settled, partitions shared, an end in good order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.delivery.replies import Kind
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, REFUSED, SENT, UNKNOWN
from postlaw_sending.stop.holdings import Holdings
from postlaw_sending.worker import lane, partition
from services.sending.tests.worker.mill import PARTITIONS, Mill, Wire, person, running, until


@promise("M6")
async def test_everybody_is_mailed_once_and_the_states_say_so(mill: Mill) -> None:
    async with running(mill.worker()):
        for start in range(0, 600, 200):
            await mill.send_to(range(start, start + 200))
        settled = await mill.outcomes(3)
    assert [set(batch.states) for batch in settled] == [{SENT}] * 3
    assert sorted(to for to, _ in mill.wire.begun) == sorted(person(i).address for i in range(600))


async def test_what_has_ended_is_written_with_the_next_claim(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 people are 21 claims; a write more for the end of each would make 42."""
    monkeypatch.setattr(partition, "GATHER_S", 3.0)  # beyond what a busy machine takes from one claim to the next
    monkeypatch.setattr(partition, "RENEW_EVERY_S", 60.0)  # nothing is written for time's sake, however long all of it takes
    async with running(mill.worker(lanes=1)) as worker:
        await until(lambda: 0 in worker.held)
        before = worker.held[0].holding.renewals
        for start in range(0, 600, 200):
            await mill.send_to(range(start, start + 200))
        await mill.outcomes(3)
        assert worker.held[0].holding.renewals - before < 30


@pytest.mark.parametrize(("ends_after_us", "state"), [(1, SENT), (0, DEFERRED), (-1, DEFERRED)])
@promise("M8")
async def test_nobody_is_mailed_on_a_decision_from_the_microsecond_on_at_which_it_ends(
    mill: Mill, monkeypatch: pytest.MonkeyPatch, ends_after_us: int, state: int
) -> None:
    now = 1_800_000_000_000_000
    monkeypatch.setattr(lane, "wall_clock_us", lambda: now)
    async with running(mill.worker()):
        await mill.send_to(range(3), expires_at_us=now + ends_after_us)
        [settled] = await mill.outcomes(1)
    assert set(settled.states) == {state}
    assert list(settled.reason_texts) == ([] if state == SENT else ["decision_expired"])
    assert bool(mill.wire.begun) == (state == SENT)


async def test_a_decision_that_names_no_end_is_not_used(mill: Mill) -> None:
    async with running(mill.worker()):
        await mill.send_to(range(3), expires_at_us=0)
        [settled] = await mill.outcomes(1)
    assert (set(settled.states), mill.wire.begun) == ({DEFERRED}, [])


@promise("G1")
async def test_what_a_batch_was_decided_on_stands_in_its_event(mill: Mill) -> None:
    async with running(mill.worker()):
        await mill.send_to(range(3))
        [settled] = await mill.outcomes(1)
    assert (settled.inputs_hash, settled.decided_at_us, settled.law_version) == (b"inputs", 1_700_000_000_000_001, "law-1")


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


async def test_what_a_worker_is_just_taking_when_it_stops_is_handed_back_too(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, goes_on = asyncio.Event(), asyncio.Event()
    take = Holdings.take

    async def slowly(*arguments: Any) -> Any:
        holding = await take(*arguments)
        taken.set()
        await goes_on.wait()
        return holding

    monkeypatch.setattr(Holdings, "take", slowly)
    worker = mill.worker()
    async with running(worker):
        await taken.wait()
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0.05)
        goes_on.set()
        await stopping
        assert [(await mill.holdings.read(partition)).owner for partition in range(PARTITIONS)] == [None] * PARTITIONS


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
