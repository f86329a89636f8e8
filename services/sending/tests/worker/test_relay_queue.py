"""What whoever says stop is told of a relay that has a queue of its own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.testing.mesh import mesh
from postlaw_common.testing.promises import promise
from postlaw_sending.service import build
from postlaw_sending.settings import SendingSettings
from postlaw_sending.stop.assembly import StopParts
from postlaw_sending.stop.relay_queue import AT_RELAY, Handed, RelayQueue
from services.sending.tests.worker.mill import LIST, TENANT, Mill, person, running, until

HOUR_S = 3600
EVERYTHING = consent.Scope(everything=True)
OTHER = consent.Scope(list_id="lst_2")


@pytest.fixture
async def queue(mill: Mill) -> RelayQueue:
    await mill.store.start([AT_RELAY])
    return RelayQueue(lambda: mill.store.collection(AT_RELAY.name), HOUR_S, lambda: time.time_ns() // 1000)


async def told(mill: Mill, queue: RelayQueue, i: int, scope: consent.Scope = LIST) -> sending.AwaitStoppedResponse:
    """What person i is answered who says stop now."""
    _, offset = await mill.withdraw(i, scope=scope)
    parts: Any = (mill.holdings, None, mill.await_stopped, queue, lambda: time.time_ns() // 1000)
    return await StopParts(*parts).answer(
        sending.AwaitStoppedRequest(
            tenant_id=TENANT, address_key=person(i).address_key, scope=scope, partition=0, offset=offset, generation=mill.generation
        )
    )


@promise("M6")
async def test_a_message_that_a_relay_may_still_hold_is_told_of_from_its_hand_off_on(mill: Mill, queue: RelayQueue) -> None:
    """Also while its batch is under way, when no ledger tells of it yet, and once at a time when both do."""
    mill.wire.hold = True
    async with running(mill.worker(relay_queue=queue)):
        await mill.send_to(range(3))
        await until(lambda: len(mill.wire.begun) == 3)
        for out in ("user0@example.com", "user1@example.com"):
            mill.wire.answer(out)
        first = await told(mill, queue, 0)
        assert first.outcome == consent.OUTCOME_STOPPED
        assert first.relay_may_hold == 1
        left_us = first.relay_until.ToMicroseconds() - HOUR_S * 1_000_000
        assert mill.wire.ended["user0@example.com"] // 1000 <= left_us <= time.time_ns() // 1000
        assert (await told(mill, queue, 5)).relay_may_hold == 0
        mill.wire.answer("user2@example.com")
        await mill.outcomes(1)
        assert (await told(mill, queue, 0)).relay_may_hold == 1
        assert (await told(mill, queue, 1, OTHER)).relay_may_hold == 0
        assert (await told(mill, queue, 1, EVERYTHING)).relay_may_hold == 1


@promise("M6")
async def test_whose_hand_off_is_awaited_is_told_of_it(mill: Mill, queue: RelayQueue) -> None:
    mill.wire.hold = True
    async with running(mill.worker(relay_queue=queue)):
        await mill.send_to(range(2))
        await until(lambda: len(mill.wire.begun) == 2)
        asking = asyncio.create_task(told(mill, queue, 0))
        await asyncio.sleep(0.1)
        assert not asking.done()
        mill.wire.answer("user0@example.com")
        assert (await asking).relay_may_hold == 1
        mill.wire.answer("user1@example.com")


async def test_where_nobody_holds_the_partition_a_batch_of_it_may_have_one(mill: Mill, queue: RelayQueue) -> None:
    mill.wire.hold = True
    worker = mill.worker(relay_queue=queue)
    async with running(worker):
        await mill.send_to(range(2))
        await until(lambda: len(mill.wire.begun) == 2)
        mill.wire.answer("user0@example.com")
        await worker.held[0].written()
    answer = await told(mill, queue, 0)
    assert (answer.relay_may_hold, answer.outcome) == (1, consent.OUTCOME_STOPPED)


async def test_what_has_outlived_the_queue_is_told_of_no_more(mill: Mill, queue: RelayQueue) -> None:
    now_us = time.time_ns() // 1000
    before = RelayQueue(lambda: mill.store.collection(AT_RELAY.name), HOUR_S, lambda: now_us - 60 * 1_000_000)
    await before.note([Handed(b"t" * 16, "list:lst_1", now_us - age_s * 1_000_000) for age_s in (70, 80, HOUR_S + 1)])
    count, until_us = await queue.holds(b"t" * 16, "*")
    assert (count, until_us) == (2, now_us + (HOUR_S - 70) * 1_000_000)
    assert await queue.holds(b"u" * 16, "*") == (0, 0)


@pytest.mark.parametrize(("declared", "delivery", "there"), [(0, "relay", False), (60, "relay", True), (60, "mx", False)])
async def test_only_a_relay_that_declares_its_queue_costs_anything(tmp_path: Path, declared: int, delivery: str, there: bool) -> None:
    settings = SendingSettings.model_validate({"relay_queue_life": declared, "delivery": delivery, "role": "api"})
    async with mesh(tmp_path, [lambda platform: build(platform, settings)]) as m:
        names = [background.name for background in m.running.services["sending"].backgrounds]
    assert ("relay queue" in names) == there
