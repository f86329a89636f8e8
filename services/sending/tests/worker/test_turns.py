"""Turns: where processors are short, lanes rest while people say stop."""

from __future__ import annotations

import asyncio
import resource

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.settings import SendingSettings
from postlaw_sending.worker.turns import LAPSES_S, MOST_OWED_S, OWED_S, REST, WORK_S, Spent, Turns, spent


class Process:
    """`works` that long a turn; `takes`: whether the kernel takes the processor from it meanwhile."""

    def __init__(self, works_s: float = 0.001, *, taken: bool = True) -> None:
        self.works_s, self.taken = works_s, taken
        self.now = Spent(100.0, 7)
        self.rests: list[float] = []
        self.clock_s = 0.0

    def spent(self) -> Spent:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)

    def turns(self) -> Turns:
        return Turns(self.spent, self.sleep, lambda: self.clock_s)

    async def take(self, turns: Turns, count: int) -> None:
        for _ in range(count):
            async with turns:
                self.now = Spent(self.now.seconds + self.works_s, self.now.preempted + self.taken)


@promise("M5")
async def test_for_each_withdrawal_heard_lanes_rest_between_turns_where_processors_are_short() -> None:
    process = Process()
    turns = process.turns()
    await process.take(turns, 50)
    assert process.rests == []  # nobody has said stop
    turns.owe()
    turns.owe()
    await process.take(turns, 50)
    assert sum(process.rests) == pytest.approx(2 * OWED_S)
    assert max(process.rests) <= REST * (WORK_S + process.works_s)
    await process.take(turns, 50)
    assert sum(process.rests) == pytest.approx(2 * OWED_S)


async def test_nobody_rests_where_the_kernel_takes_no_processor_away() -> None:
    process = Process(taken=False)
    turns = process.turns()
    turns.owe()
    await process.take(turns, 50)
    assert process.rests == []
    process.taken = True
    await process.take(turns, 50)
    assert sum(process.rests) == pytest.approx(OWED_S)


async def test_nobody_rests_for_those_who_said_stop_a_while_ago() -> None:
    """No mail went out then; the next campaign owes them nothing."""
    process = Process()
    turns = process.turns()
    for _ in range(10):
        turns.owe()
    process.clock_s += LAPSES_S
    await process.take(turns, 50)
    assert process.rests == []
    turns.owe()
    await process.take(turns, 50)
    assert sum(process.rests) == pytest.approx(OWED_S)


async def test_what_was_worked_before_a_withdrawal_counts_for_no_rest() -> None:
    process = Process()
    turns = process.turns()
    await process.take(turns, 1000)
    turns.owe()
    await process.take(turns, 1)
    assert process.rests == []


async def test_however_many_say_stop_at_once_mail_goes_on() -> None:
    process = Process()
    turns = process.turns()
    for _ in range(10_000):
        turns.owe()
    await process.take(turns, 1000)
    assert sum(process.rests) == pytest.approx(MOST_OWED_S)


async def test_a_process_that_does_more_than_deliver_never_rests() -> None:
    process = Process()
    turns = Turns(None, process.sleep)
    turns.owe()
    await process.take(turns, 50)
    assert process.rests == []


async def test_one_lane_at_a_time_has_the_turn_and_gives_it_back_when_it_fails() -> None:
    turns = Turns()
    with pytest.raises(LookupError):
        async with turns:
            raise LookupError
    order: list[int] = []

    async def lane(number: int) -> None:
        async with turns:
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(lane(number) for number in range(3)))
    assert order == [0, 0, 1, 1, 2, 2]


async def test_while_one_lane_rests_no_other_has_its_turn_and_one_that_is_ended_meanwhile_gives_it_back() -> None:
    process = Process(works_s=1.0)
    resting = asyncio.Event()

    async def for_ever(seconds: float) -> None:
        resting.set()
        await asyncio.sleep(3600)

    turns = Turns(process.spent, for_ever, lambda: 0.0)
    turns.owe()
    one = asyncio.create_task(process.take(turns, 1))
    await resting.wait()
    waiting = asyncio.create_task(turns.__aenter__())
    await asyncio.sleep(0)
    assert not waiting.done()
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    await waiting


async def test_a_lane_that_fails_is_told_so_without_a_rest() -> None:
    process = Process(works_s=1.0)
    turns = process.turns()
    turns.owe()
    with pytest.raises(LookupError):
        async with turns:
            process.now = Spent(200.0, 9)
            raise LookupError
    assert process.rests == []


def test_what_a_process_has_spent_is_what_the_kernel_says() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(100_000):
        pass
    now, after = spent(), resource.getrusage(resource.RUSAGE_SELF)
    assert before.ru_nivcsw <= now.preempted <= after.ru_nivcsw
    assert before.ru_utime + before.ru_stime < now.seconds <= after.ru_utime + after.ru_stime


@pytest.mark.parametrize(
    ("role", "rests"), [("worker", True), (" worker,", True), ("all", False), ("worker,returns", False), ("api", False)]
)
def test_only_a_process_that_does_nothing_else_of_sending_rests(role: str, rests: bool) -> None:
    assert SendingSettings(role=role).only_delivers is rests
