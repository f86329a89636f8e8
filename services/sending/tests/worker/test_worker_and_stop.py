"""The worker and the stop together, on the embedded bus and store, against connections whose replies the test gives."""

from __future__ import annotations

import asyncio
import time

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.testing.patience import until as patiently
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import REFUSED, SENT, UNKNOWN
from services.sending.tests.worker.mill import LIST, PARTITIONS, Mill, Wire, person, running, until


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


KINDS = consent.ConsentEvent
OF_A_LATER_VERSION = KINDS.Kind.ValueType(99)
OF_THEIR_SCOPE = (KINDS.KIND_WITHDRAWN, KINDS.KIND_REFUSED, KINDS.KIND_INVALIDATED)
OF_EVERYTHING = (
    KINDS.KIND_COMPLAINED, KINDS.KIND_OBJECTED, KINDS.KIND_RESTRICTED, KINDS.KIND_PAUSED, KINDS.KIND_BOUNCED, KINDS.KIND_ERASED,
    OF_A_LATER_VERSION,
)  # fmt: skip
LEAVING_ALONE = set(KINDS.Kind.values()) - {KINDS.KIND_UNSPECIFIED, *OF_THEIR_SCOPE, *OF_EVERYTHING}


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        *((kind, LIST) for kind in OF_THEIR_SCOPE),
        *((kind, consent.Scope(topic="prices")) for kind in OF_EVERYTHING),
        (KINDS.KIND_UNSPECIFIED, consent.Scope()),
    ],
)
@promise("M6", "G7", "G8")
async def test_every_act_that_says_stop_closes_the_gate_and_is_answered_stopped(
    mill: Mill, kind: consent.ConsentEvent.Kind.ValueType, scope: consent.Scope
) -> None:
    """GDPR art. 18 and 21, a complaint and a pause reach everything, whatever scope they name; so does what we do not know."""
    mill.wire.hold = True
    await mill.send_to(range(1))
    async with running(mill.worker()):
        await until(lambda: len(mill.wire.begun) == 1)
        before = await mill.end_of_consent(0)
        tag, offset = await mill.withdraw(3, scope=scope, kind=kind)
        await mill.send_to(range(1, 5), consent_offset=before)
        assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
        tag, offset = await mill.withdraw(0, scope=scope, kind=kind)
        assert not (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=0.2)).stopped
        await until(lambda: len(mill.wire.begun) == 4)
        for i in (0, 1, 2, 4):
            mill.wire.answer(person(i).address)
        assert (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped
        settled = {batch.batch: batch for batch in await mill.outcomes(2)}
    assert [settled[1].states[i] for i in range(4)] == [SENT, SENT, REFUSED, SENT]


@promise("M6")
async def test_an_act_that_opens_or_is_of_tracking_stops_no_message(mill: Mill) -> None:
    assert len(LEAVING_ALONE) == 12
    await mill.send_to(range(3))
    for kind in LEAVING_ALONE:
        await mill.withdraw(1, scope=consent.Scope(), kind=kind)
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

        async def is_stopped() -> bool:
            return (await mill.await_stopped(tag, 0, offset, mill.generation)).stopped

        await patiently(is_stopped)  # the holder hears of the attestation with its next renewal
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
