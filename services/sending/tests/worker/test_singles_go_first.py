"""Single messages have a topic of their own, and no campaign stands before them; claims, gates and the holding are the same."""

from __future__ import annotations

from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import SENT, UNKNOWN, Place
from postlaw_sending.stop.wire import JOBS
from postlaw_sending.worker.jobs import RECORDS_AHEAD
from postlaw_sending.worker.worker import Worker
from services.sending.tests.worker.mill import Mill, Wire, person, running, until

SINGLE = 100_000
TO_SINGLE = person(SINGLE).address


def in_memory(worker: Worker) -> int:
    return sum(len(partition.records[JOBS]) for partition in worker.held.values())


async def let_one_through(wire: Wire) -> None:
    """Of one that takes messages one by one."""
    await until(lambda: not wire.has_room)
    wire.answer(next(to for to, waiting in wire.under_way.items() if waiting))


@promise("G12")
async def test_a_single_message_waits_for_claims_that_are_open_and_for_no_campaigns_backlog(mill: Mill) -> None:
    """Its campaigns have filled all the room for records, in its own partition and in another, before it is in the log."""
    people = 10
    for batch in range(RECORDS_AHEAD + 10):
        await mill.send_to(range(batch * people, (batch + 1) * people), partition=batch % 2)
    wire = Wire(hold=True, one_by_one=True)
    worker = mill.worker(wire, lanes=1)
    async with running(worker):
        await until(lambda: in_memory(worker) >= RECORDS_AHEAD)
        await let_one_through(wire)
        await mill.send_single(SINGLE, partition=1)
        await until(lambda: bool(worker.held[1].singles))
        before = len(wire.begun)
        while TO_SINGLE not in wire.ended:
            await let_one_through(wire)
        # A lane has one claim in hand and another written down; what goes first is the next to be claimed.
        assert len(wire.begun) - before <= 2 * people + 1
        assert in_memory(worker) >= RECORDS_AHEAD - 2


@promise("G12")
async def test_a_campaign_that_cannot_be_opened_keeps_no_single_message_waiting(mill: Mill) -> None:
    mill.keys_away.add("cmp_1")
    await mill.send_to(range(5))
    async with running(mill.worker()):
        await mill.send_single(SINGLE)
        [settled] = await mill.outcomes(1)
        assert (settled.campaign_id, list(settled.states)) == (f"msg_{SINGLE}", [SENT])
        mill.keys_away.clear()
        _, campaign = await mill.outcomes(2)
        assert list(campaign.states) == [SENT] * 5


@promise("M6")
async def test_a_single_message_and_a_campaigns_batch_at_the_same_offset_are_two(mill: Mill) -> None:
    """Both are claimed when the worker is lost: each is `unknown` in its own batch, neither is mailed again, and what comes after is."""
    await mill.send_to(range(2))
    await mill.send_single(SINGLE)
    async with running(mill.worker(Wire(hold=True))) as lost:
        await until(lambda: lost.held.keys() >= {0} and len(lost.held[0].claims) == 2)
        await until(lambda: all(not claim.todo for claim in lost.held[0].claims))
        holding = await mill.holdings.read(0)
        assert {batch.place for batch in holding.batches} == {Place(True, 0), Place(False, 0)}
        assert {claim.place for claim in holding.claims} == {Place(True, 0), Place(False, 0)}
        assert (holding.job_offset, holding.single_offset) == (1, 1)
    second = Wire()
    async with running(mill.worker(second)):
        await mill.send_single(SINGLE + 1)
        settled = {event.campaign_id: list(event.states) for event in await mill.outcomes(3)}
    assert settled == {"cmp_1": [UNKNOWN] * 2, f"msg_{SINGLE}": [UNKNOWN], f"msg_{SINGLE + 1}": [SENT]}
    assert [to for to, _ in second.begun] == [person(SINGLE + 1).address]


@promise("M6")
async def test_a_live_single_message_is_read_again_from_its_own_topic(mill: Mill) -> None:
    """Nobody had claimed it when the worker was lost: the next one sends it, and not the campaign's batch at its offset."""
    wire = Wire(hold=True, one_by_one=True)
    async with running(mill.worker(wire, lanes=1)) as lost:
        for i in range(6):
            await mill.send_single(SINGLE + i)
        await until(lambda: len(lost.held[0].singles) == 6 if 0 in lost.held else False)
        await let_one_through(wire)  # so that the ledger learns of all six
        await until(lambda: len(wire.begun) == 2)
    await mill.send_to(range(2))
    second = Wire()
    async with running(mill.worker(second)):
        await mill.outcomes(7)
    holding = await mill.holdings.read(0)
    assert (holding.job_offset, holding.single_offset) == (1, 6)
    assert person(SINGLE + 5).address in {to for to, _ in second.begun}
    assert not {to for to, _ in second.begun} & {to for to, _ in wire.begun}
