"""The stop against random schedules: workers paused, killed, leaving and joining, bus and store away, receivers that hang up.

Time is virtual and each schedule follows from its seed, so that one which breaks the law can be run again alone.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from types import SimpleNamespace
from typing import Literal

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.stop import await_stopped
from postlaw_sending.stop.holding import REFUSED, SENT, UNKNOWN
from postlaw_sending.stop.observing import LEASE_S, Observer
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.worker import hearing, partition, worker
from postlaw_sending.worker.ownership import Roll
from services.sending.tests.simulation.schedule import PEOPLE, Schedule
from services.sending.tests.simulation.virtual_time import VirtualTime
from services.sending.tests.simulation.world import World

SEEDS = 100

Restore = Literal["", "emptied", "raised"]


def play(seed: int, monkeypatch: pytest.MonkeyPatch, *, calm: bool = False, slow: float = 0.0, restore: Restore = "") -> Schedule:
    """The schedule of this seed, at its end. `slow`: seconds that each final reply takes, at least. Observers' clocks may run fast
    or slow against those whom they observe."""
    loop = VirtualTime()
    rate = 1.0 if calm else random.Random(-seed).choice([0.6, 1.0, 1.0, 1.7, 4.0])
    with monkeypatch.context() as patch:
        for module in (await_stopped, hearing, partition):
            patch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        patch.setattr(Observer.__init__, "__defaults__", (LEASE_S, lambda: loop.time() * rate))
        for made in (SecondGate, Roll):
            patch.setattr(made.__init__, "__defaults__", (loop.time,))

        async def run() -> Schedule:
            chance = random.Random(seed)
            schedule = Schedule(chance, World(chance, calm=calm))
            schedule.world.receiver.slow = slow
            schedule.restore = restore
            schedule.moves = calm and not slow
            schedule.second_after = 5.0 if slow else 0.0  # by then the first holds everything
            await schedule.run()
            return schedule

        try:
            return loop.run_until_complete(run())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.1))
            loop.close()


def obeys_the_law(schedule: Schedule) -> None:
    taken = schedule.world.receiver.taken
    for answer in schedule.answers:
        if answer.stopped:
            for mail in taken:
                if mail.to.endswith(f"/{answer.person}"):
                    assert mail.begin <= answer.at, f"{mail.to} was mailed at {mail.begin}, after the answer at {answer.at}"
                    assert mail.end <= answer.at, f"{mail.to} was under way at the answer"
    copies = Counter(mail.to for mail in taken)
    assert set(copies.values()) <= {1}, f"mailed twice: {[to for to, count in copies.items() if count > 1]}"
    for (campaign, person), state in schedule.final.items():
        there = f"{campaign}/{person}" in copies
        assert there if state == SENT else not there or state == UNKNOWN, f"{campaign}/{person} ended as {state}, mailed: {there}"
    assert all((campaign, person) in schedule.final for campaign in schedule.campaigns for person in range(PEOPLE))
    for began, ended in schedule.silences:
        sent = [at for at in (*schedule.world.checked, *schedule.world.followed) if began + hearing.PERMIT_S < at < ended]
        assert not sent, f"sent at {sent} without contact to the bus from {began} to {ended}"


@promise("M6")
@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_a_stop_holds_under_every_schedule(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(first, first + 20):
        try:
            obeys_the_law(play(seed, monkeypatch))
        except BaseException as broken:
            broken.add_note(f"schedule {seed}")
            raise


@promise("M6")
@pytest.mark.parametrize("restore", ["emptied", "raised"])
def test_a_stop_holds_and_nobody_is_mailed_twice_when_the_topics_are_replaced(restore: Restore, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3000, 3010):
        try:
            obeys_the_law(play(seed, monkeypatch, restore=restore))
        except BaseException as broken:
            broken.add_note(f"schedule {seed}, {restore}")
            raise


@promise("M6")
def test_while_workers_come_and_go_in_order_every_stop_is_answered_stopped_and_nobody_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(1000, 1010):
        schedule = play(seed, monkeypatch, calm=True)
        obeys_the_law(schedule)
        assert all(answer.stopped for answer in schedule.answers)
        assert set(schedule.final.values()) == {SENT, REFUSED}


@promise("M6")
def test_a_slow_receiver_delays_the_hand_back_of_a_partition_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that joins gets its share only when what is under way there has ended, longer than a drain may take."""
    schedule = play(2000, monkeypatch, calm=True, slow=worker.DRAIN_S * 2.5)
    obeys_the_law(schedule)
    assert set(schedule.final.values()) == {SENT, REFUSED}
    assert all(told.worker.held for told in schedule.workers)
