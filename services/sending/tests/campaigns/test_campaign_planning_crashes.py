"""A planner killed anywhere: nobody is lost, nobody comes twice, and the batch numbers have no gaps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postlaw_common.store import VersionConflict
from postlaw_sending.campaigns.domain.schedule import Schedule, first_reached_us
from postlaw_sending.campaigns.kept_back import KEPT_BACK, KeptBack
from postlaw_sending.campaigns.led import Led

from .planning_bench import AUDIENCE, CAMPAIGN, KEY, NOON_IN_BERLIN, WAITED, Bench, Killed, Mortality, bench, key_of

MIDDLE_OF_A_GROUP = 13  # where the first five batches of ten are out
ON_THEIR_CLOCKS = replace(CAMPAIGN, schedule=Schedule(first_reached_us("2026-12-01T09:00"), "2026-12-01T09:00", "Europe/Berlin"))


async def test_a_planner_killed_at_any_write_loses_nobody_and_repeats_nobody(tmp_path: Path) -> None:
    for at in itertools.count(1):
        mortality = Mortality(at)
        async with bench(tmp_path / str(at)) as b:
            try:
                await b.plan_to_the_end(mortality)
            except Killed:
                await b.plan_to_the_end(Mortality(0))
            taken = await b.first_copies()
            fresh = [person.address_key for sealed, people in taken if sealed.attempt == 0 for person in people]
            again = [person.address_key for sealed, people in taken if sealed.attempt == 1 for person in people]
            assert fresh == [key_of(number) for number in range(AUDIENCE)], f"killed at {at}"
            assert again == [key_of(number) for number in WAITED], f"killed at {at}"
            plan = await b.plans.get("cmp_1", 0)
            assert plan is not None
            assert (plan.complete, plan.intent, plan.audience, plan.next_batch) == (True, None, AUDIENCE, len(taken))
        if not mortality.struck:
            assert at > 20, "the planner has more places to be killed at than that"
            return


async def test_killed_again_while_it_makes_good_the_first_death(tmp_path: Path) -> None:
    for at in itertools.count(1):
        async with bench(tmp_path / str(at)) as b:
            with pytest.raises(Killed):
                await b.plan_to_the_end(Mortality(MIDDLE_OF_A_GROUP))
            second = Mortality(at)
            try:
                await b.plan_to_the_end(second)
            except Killed:
                await b.plan_to_the_end(Mortality(0))
            taken = await b.first_copies()
            fresh = [person.address_key for sealed, people in taken if sealed.attempt == 0 for person in people]
            assert fresh == [key_of(number) for number in range(AUDIENCE)], f"killed at {at}"
        if not second.struck:
            return


async def test_who_was_deleted_during_a_crash_stays_in_the_batch_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        with pytest.raises(Killed):
            await b.plan_to_the_end(Mortality(MIDDLE_OF_A_GROUP))
        assert len(await b.first_copies()) < 11
        b.people.gone = {1_999}
        await b.plan_to_the_end(Mortality(0))
        people = {person.address_key: person for _, batch in await b.first_copies() for person in batch}
        assert list(people[key_of(1_999)].refusals) == ["no_longer_known"]
        assert not people[key_of(1_999)].address
        assert len(people) == AUDIENCE + len(WAITED)


async def test_two_planners_at_once_plan_nobody_twice(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        ours, theirs = Led(CAMPAIGN, KEY), Led(CAMPAIGN, KEY)
        planning = b.planning(Mortality(0))
        await planning.turn(ours, 0, 10, 0)
        await planning.turn(theirs, 0, 10, 0)
        with pytest.raises(VersionConflict):
            await planning.turn(ours, 0, 10, await b.jobs_end())
        await b.plan_to_the_end(Mortality(0))
        fresh = [person.address_key for sealed, people in await b.first_copies() if sealed.attempt == 0 for person in people]
        assert fresh == [key_of(number) for number in range(AUDIENCE)]


async def test_a_late_publish_of_a_lost_planner_changes_nothing(tmp_path: Path) -> None:
    """It announced a group, was paused, and publishes only after another planner has made its group good."""
    async with bench(tmp_path) as b:
        late: list[Any] = []

        async def keep(records: Sequence[Any]) -> Any:
            late.extend(records)
            raise Killed

        paused = b.planning(Mortality(0), publish=keep)
        with pytest.raises(Killed):
            await paused.turn(Led(CAMPAIGN, KEY), 0, 100, 0)
        await b.plan_to_the_end(Mortality(0))
        await b.bus.publish(late)
        fresh = [person.address_key for sealed, people in await b.first_copies() if sealed.attempt == 0 for person in people]
        assert fresh == [key_of(number) for number in range(AUDIENCE)]


async def morning_everywhere(b: Bench, mortality: Mortality) -> None:
    """A planner that works until nobody in Berlin waits any more, and then until nobody in Los Angeles does."""
    for b.now_us in (NOON_IN_BERLIN, NOON_IN_BERLIN + 9 * 3600 * 1_000_000):
        await b.plan_to_the_end(mortality, Led(ON_THEIR_CLOCKS, KEY, anybody_waits=True, anybody_kept=True))


async def test_who_is_kept_back_is_planned_once_wherever_the_planner_is_killed(tmp_path: Path) -> None:
    for at in itertools.count(1):
        mortality = Mortality(at)
        async with bench(tmp_path / str(at)) as b:
            b.people.count = count = 430
            try:
                await morning_everywhere(b, mortality)
            except Killed:
                await morning_everywhere(b, Mortality(0))
            taken = await b.first_copies()
            fresh = [person for sealed, people in taken if sealed.attempt == 0 for person in people]
            assert sorted(person.address_key for person in fresh) == [key_of(number) for number in range(count)], f"killed at {at}"
            assert all(person.subscriber_id and person.address for person in fresh)
            late = [person.fields["time_zone"] for person in fresh[-(count + 2) // 3 :]]
            assert set(late) == {"America/Los_Angeles"}, "who is kept back comes after all others"
            plan = await b.plans.get("cmp_1", 0)
            assert plan is not None
            assert (plan.complete, plan.intent, plan.audience) == (True, None, count)
        if not mortality.struck:
            assert at > 30, "the planner has more places to be killed at than that"
            return


async def test_a_late_keeping_back_of_a_lost_planner_changes_nothing(tmp_path: Path) -> None:
    """It announced whom it keeps back, was paused, and keeps them back only after another planner has taken them up."""
    async with bench(tmp_path) as b:
        late: list[Any] = []

        async def keep(*said: Any) -> None:
            late.append(said)
            raise Killed

        with pytest.raises(Killed):
            await b.planning(Mortality(0), put=keep).turn(Led(ON_THEIR_CLOCKS, KEY), 0, 100, 0)
        await morning_everywhere(b, Mortality(0))
        await KeptBack(lambda: b.store.collection(KEPT_BACK.name)).put(*late[0])
        await morning_everywhere(b, Mortality(0))
        fresh = [person.address_key for sealed, people in await b.first_copies() if sealed.attempt == 0 for person in people]
        assert sorted(fresh) == [key_of(number) for number in range(AUDIENCE)]
