"""Turns: where processors are short, lanes rest while people say stop."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.worker.turns import MOST_OWED_S, OWED_S, REST, WORK_S, Spent, Turns, spent


class Process:
    """`works` that long a turn; `takes`: whether the kernel takes the processor from it meanwhile."""

    def __init__(self, works_s: float = 0.001, *, taken: bool = True) -> None:
        self.works_s, self.taken = works_s, taken
        self.now = Spent(100.0, 7)
        self.rests: list[float] = []

    def spent(self) -> Spent:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)

    async def take(self, turns: Turns, count: int) -> None:
        for _ in range(count):
            async with turns:
                self.now = Spent(self.now.seconds + self.works_s, self.now.preempted + self.taken)


@promise("M5")
async def test_for_each_withdrawal_heard_lanes_rest_between_turns_where_processors_are_short() -> None:
    process = Process()
    turns = Turns(process.spent, process.sleep)
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
    turns = Turns(process.spent, process.sleep)
    turns.owe()
    await process.take(turns, 50)
    assert process.rests == []
    process.taken = True  # it is still owed
    await process.take(turns, 50)
    assert sum(process.rests) == pytest.approx(OWED_S)


async def test_what_was_worked_before_a_withdrawal_counts_for_no_rest() -> None:
    process = Process()
    turns = Turns(process.spent, process.sleep)
    await process.take(turns, 1000)
    turns.owe()
    await process.take(turns, 1)
    assert process.rests == []


async def test_however_many_say_stop_at_once_mail_goes_on() -> None:
    process = Process()
    turns = Turns(process.spent, process.sleep)
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


def test_a_process_that_works_spends_processor_time() -> None:
    before = spent()
    while spent().seconds - before.seconds < 0.02:
        pass
    assert spent().preempted >= before.preempted
