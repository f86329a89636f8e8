"""The worker and the stop together, on the embedded bus and store, against connections whose replies the test gives."""

from __future__ import annotations

import asyncio
import time

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import REFUSED, SENT, UNKNOWN
from services.sending.tests.worker.mill import PARTITIONS, Mill, Wire, person, running, until


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
