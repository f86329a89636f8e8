"""Claims are written down together where nobody waits for one, and at once where somebody does. Nothing is written for time's sake here."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_sending.stop.holding import SENT, Place
from postlaw_sending.worker import partition
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.worker import Worker
from services.sending.tests.worker.mill import Mill, Wire, person, running, until

NEVER_S = 3600.0


@pytest.fixture(autouse=True)
def nothing_for_times_sake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "GATHER_S", NEVER_S)
    monkeypatch.setattr(partition, "RENEW_EVERY_S", NEVER_S)


async def with_people(mill: Mill, worker: Worker) -> HeldPartition:
    """The partition, once a batch of three claims is taken. No lane serves it."""
    await mill.send_to(range(96))
    await until(lambda: 0 in worker.held and worker.held[0].has_unclaimed())
    return worker.held[0]


async def test_a_claim_that_nobody_waits_for_goes_with_the_next_that_somebody_does(mill: Mill) -> None:
    async with running(mill.worker(lanes=0)) as worker:
        held = await with_people(mill, worker)
        before = held.holding.renewals
        early = [asyncio.create_task(held.claim(at_once=False)) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert not any(claim.done() for claim in early)
        assert await held.claim() is not None
        assert all([await claim for claim in early])
        assert held.holding.renewals - before == 1
        assert len((await mill.holdings.read(0)).claims) == 3


async def test_whoever_hurries_has_every_claim_written(mill: Mill) -> None:
    async with running(mill.worker(lanes=0)) as worker:
        held = await with_people(mill, worker)
        claims = [asyncio.create_task(held.claim(at_once=False)) for _ in range(3)]
        await asyncio.sleep(0)
        held.hurry()
        assert all([await claim for claim in claims])


async def test_a_single_messages_claim_is_written_at_once(mill: Mill) -> None:
    async with running(mill.worker(lanes=0)) as worker:
        held = await with_people(mill, worker)
        await mill.send_single(100_000)
        await until(held.has_unclaimed_single)
        claim = await held.claim(at_once=False)
        assert claim is not None
        assert claim.batch.place.single


async def test_a_lane_with_nothing_to_hand_over_hurries(mill: Mill) -> None:
    """Also where it had something when it asked."""
    wire = Wire(one_by_one=True)
    async with running(mill.worker(wire, lanes=1)) as worker:
        await mill.send_to(range(96))
        await until(lambda: len(wire.begun) == 96)
        await until(lambda: worker.held[0].batches[Place(False, 0)].states.count(SENT) == 96)
    assert [to for to, _ in wire.begun] == [person(i).address for i in range(96)]
