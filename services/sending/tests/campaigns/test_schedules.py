"""A campaign that begins by itself, on everybody's own clock, and no faster than it may."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Invalid
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.pace import allowed, at_once, cost_us
from postlaw_sending.campaigns.domain.schedule import first_reached_us, is_zone, reached_us
from services.sending.tests.campaigns.test_campaign_life import adds_up, by_id

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign
HOUR_US = 3_600_000_000


class Clock:
    """The installation's, ahead of the real one as far as the test says."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def stands_at(self, at_us: int) -> None:
        self.ahead_us += at_us - self()


async def scheduled(world: World, campaign_id: str, **when: Any) -> sending.Campaign:
    return await world.stub.ScheduleCampaign(sending.ScheduleCampaignRequest(campaign_id=campaign_id, **when))


async def until_status(world: World, campaign_id: str, status: C.Status.ValueType) -> sending.Campaign:
    async with patience():
        while (campaign := await world.get(campaign_id)).status != status:
            await asyncio.sleep(0.02)
    return campaign


async def begun(world: World) -> None:
    """One look of every process that could begin what is due."""
    await asyncio.gather(*(world.reopened().begin_scheduled.look() for _ in range(2)))


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


def test_a_time_that_a_zone_has_twice_is_its_first() -> None:
    assert reached_us("2026-10-25T02:30", "Europe/Berlin", "UTC") == instant("2026-10-25T02:30+02:00")


def test_a_time_that_a_zone_leaves_out_is_as_long_after_it_put_its_clocks_forward() -> None:
    assert reached_us("2026-03-29T02:30", "Europe/Berlin", "UTC") == instant("2026-03-29T03:30+02:00")


def test_nobody_has_a_time_before_the_first_zone_has_it() -> None:
    first = first_reached_us("2026-12-01T09:00")
    assert first == reached_us("2026-12-01T09:00", "Pacific/Kiritimati", "UTC")
    assert all(first <= reached_us("2026-12-01T09:00", zone, "UTC") for zone in ("Asia/Tokyo", "Pacific/Auckland", "America/Adak"))


def test_a_zone_that_is_none_is_not_believed() -> None:
    assert not any(map(is_zone, ("", "Mars/Base", "../etc/passwd", "Europe", "/etc/localtime", "x" * 300)))
    assert reached_us("2026-12-01T09:00", "Mars/Base", "Asia/Tokyo") == instant("2026-12-01T09:00+09:00")


@pytest.mark.parametrize("an_hour", [1, 7, 59, 60, 1_000, 100_000])
def test_no_hour_has_more_than_its_messages_and_a_minutes_worth(an_hour: int) -> None:
    paid, now, sent = 0, HOUR_US, list[tuple[int, int]]()
    while now < 4 * HOUR_US:
        if many := allowed(an_hour, paid, now):
            sent.append((now, many))
            paid = now + cost_us(an_hour, many)
        now += 7_000_000
    for start, _ in sent:
        assert sum(many for at, many in sent if start <= at < start + HOUR_US) <= an_hour + max(1, an_hour // 60)
    total = sum(many for _, many in sent)
    assert total >= min(3 * an_hour * 0.7, 3), "and it does go on"
    assert 1 <= at_once(an_hour) <= 200


def test_a_clock_that_was_set_back_stops_no_throttled_campaign() -> None:
    paid = 10 * HOUR_US + cost_us(6_000, 100)
    assert allowed(6_000, paid, 10 * HOUR_US) == 0
    assert allowed(6_000, paid, 9 * HOUR_US) == 100


async def test_a_scheduled_campaign_begins_at_its_time_once_and_not_before(open_world: Opened) -> None:
    clock = Clock()
    async with open_world(now_us=clock) as world:
        world.people.add_list("lst_1", range(300))
        campaign_id = (await world.draft()).campaign_id
        at = datetime.now(UTC) + timedelta(hours=3)
        assert (await scheduled(world, campaign_id, at=at)).status == C.STATUS_SCHEDULED
        assert (await scheduled(world, campaign_id, at=at)).version == 2, "the same again changes nothing"
        with pytest.raises(Conflict):
            await world.stub.LaunchCampaign(by_id(campaign_id))
        clock.ahead_us = 3 * HOUR_US - 60_000_000
        await begun(world)
        assert (await world.get(campaign_id)).status == C.STATUS_SCHEDULED
        assert not world.law.asked, "nobody is decided on before"
        clock.ahead_us = 3 * HOUR_US + 1_000_000
        await begun(world)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert campaign.totals.sent == len(world.mailed) == 300
        assert campaign.version == 4, "drafted, scheduled, begun, finished: each once, whoever looked"


@promise("M7")
async def test_what_fails_at_its_time_is_a_draft_again_and_says_why(open_world: Opened) -> None:
    clock = Clock()
    async with open_world(now_us=clock) as world:
        world.people.add_list("lst_1", range(10))
        campaign_id = (await world.draft()).campaign_id
        await scheduled(world, campaign_id, at=datetime.now(UTC) + timedelta(hours=1))
        world.law.dead_links = True
        clock.ahead_us = HOUR_US + 1_000_000
        campaign = await until_status(world, campaign_id, C.STATUS_DRAFT)
        assert campaign.paused_because.startswith("checklist-failed: unsubscribe:")
        assert not campaign.HasField("schedule")
        clock.ahead_us = 0
        await scheduled(world, campaign_id, at=datetime.now(UTC) + timedelta(hours=1))
        world.law.dead_links, world.law.away = False, True
        clock.ahead_us = 26 * HOUR_US  # a day late: what was away comes back too late
        assert (await until_status(world, campaign_id, C.STATUS_DRAFT)).paused_because.startswith("conflict: schedule-missed")


async def test_what_is_wrong_with_one_campaign_keeps_no_other_from_beginning(open_world: Opened) -> None:
    clock = Clock()
    async with open_world(now_us=clock) as world:
        world.people.add_list("lst_1", range(3))
        broken, other = (await world.draft()).campaign_id, (await world.draft()).campaign_id
        for campaign_id in (broken, other):
            await scheduled(world, campaign_id, at=datetime.now(UTC) + timedelta(hours=1))
        clock.ahead_us = HOUR_US + 1_000_000
        beginning = world.reopened().begin_scheduled
        move = vars(beginning)["_move"]

        class Broken:
            async def begin(self, campaign: Any, by: Any) -> bool:
                if campaign.campaign_id == broken:
                    raise ValueError("what is stored of it cannot be read")
                return await move.begin(campaign, by)

        vars(beginning)["_move"] = Broken()
        await beginning.look()
        assert (await world.get(other)).status != C.STATUS_SCHEDULED


async def test_no_time_that_has_passed_anywhere_can_be_set(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1))
        campaign_id = (await world.draft()).campaign_id
        here = datetime.now(UTC)
        for wrong in (
            {"at": here - timedelta(seconds=1)},
            {"local_time": (here + timedelta(hours=13)).strftime("%Y-%m-%dT%H:%M")},
            {"local_time": "2031-12-01T09:00+01:00"},
            {"local_time": "tomorrow"},
            {"local_time": "2031-12-01T09:00", "time_zone": "Mars/Base"},
            {"local_time": "2031-12-01T09:00", "at": here + timedelta(days=1)},
            {},
        ):
            with pytest.raises(Invalid):
                await scheduled(world, campaign_id, **wrong)
        assert (await world.get(campaign_id)).status == C.STATUS_DRAFT
        await scheduled(world, campaign_id, local_time="2031-12-01T09:00")
        assert (await world.stub.UnscheduleCampaign(by_id(campaign_id))).status == C.STATUS_DRAFT
        await begun(world)
        assert (await world.get(campaign_id)).status == C.STATUS_DRAFT


async def test_whoever_names_no_zone_gets_it_by_the_schedules_else_the_lists_else_the_customers(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1))
        campaign_id = (await world.draft()).campaign_id
        when = "2031-12-01T09:00"
        assert (await scheduled(world, campaign_id, local_time=when)).schedule.time_zone == "UTC"
        world.people.zone = "Asia/Tokyo"
        assert (await scheduled(world, campaign_id, local_time=when)).schedule.time_zone == "Asia/Tokyo"
        asked = await scheduled(world, campaign_id, local_time=when, time_zone="Europe/Berlin")
        assert asked.schedule.time_zone == "Europe/Berlin"


async def test_everybody_gets_it_when_their_own_clock_shows_its_time(open_world: Opened) -> None:
    clock = Clock()
    zones = {0: "Asia/Tokyo", 1: "Europe/Berlin", 2: "America/New_York", 3: "nowhere"}
    async with open_world(now_us=clock) as world:
        world.people.add_list("lst_1", range(400))
        world.people.zone_of = lambda number: zones[number // 4 % 4]
        clock.stands_at(instant("2030-03-01T00:00+00:00"))
        campaign_id = (await world.draft()).campaign_id
        await scheduled(world, campaign_id, local_time="2030-03-31T02:30", time_zone="UTC")
        due = {
            "Asia/Tokyo": instant("2030-03-31T02:30+09:00"),
            "Europe/Berlin": instant("2030-03-31T03:30+02:00"),  # 02:30 is left out there that night
            "nowhere": instant("2030-03-31T02:30+00:00"),
            "America/New_York": instant("2030-03-31T02:30-04:00"),
        }
        clock.stands_at(instant("2030-03-31T02:30+14:00") + 1_000_000)
        await until_status(world, campaign_id, C.STATUS_SENDING)
        seen: list[str] = []
        for zone, at_us in sorted(due.items(), key=lambda each: each[1]):
            clock.stands_at(at_us - 60_000_000)
            await asyncio.sleep(0.3)
            await world.deliver()
            assert len(world.mailed) == 100 * len(seen), f"too early in {zone}"
            clock.stands_at(at_us + 1_000_000)
            seen.append(zone)
            async with patience():
                while len(world.mailed) < 100 * len(seen):
                    await world.deliver()
                    await asyncio.sleep(0.02)
            mailed = Counter(zones[int(address[1:].partition("@")[0]) // 4 % 4] for address in world.mailed)
            assert mailed == dict.fromkeys(seen, 100)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert campaign.totals.sent == 400
        assert adds_up(campaign.totals)


async def test_a_cancelled_campaign_accounts_for_whom_it_kept_back(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(500))
        campaign_id = (await world.draft(messages_per_hour=60)).campaign_id
        await world.stub.LaunchCampaign(by_id(campaign_id))
        async with patience():
            while not (await world.get(campaign_id)).totals.audience_complete:
                await asyncio.sleep(0.02)
        await world.stub.CancelCampaign(by_id(campaign_id))
        campaign = await world.until(campaign_id, C.STATUS_CANCELLED)
        assert campaign.totals.refused_by_reason["campaign_cancelled"] >= 499
        assert adds_up(campaign.totals)


async def test_a_throttled_campaign_keeps_its_pace_over_a_restart_and_blocks_nobody(open_world: Opened) -> None:
    clock = Clock()
    async with open_world(now_us=clock) as world:
        world.people.add_list("lst_1", range(500))
        world.people.add_list("lst_2", range(1_000, 2_000))
        slow = (await world.draft(messages_per_hour=600)).campaign_id
        await world.stub.LaunchCampaign(by_id(slow))
        quick = await world.launched("lst_2")
        assert (await world.until(quick, C.STATUS_FINISHED)).totals.sent == 1_000
        async with patience():
            while (await world.get(slow)).totals.sent < 10:
                await world.deliver()
                await asyncio.sleep(0.02)
    async with open_world(people=world.people, law=world.law, now_us=clock) as again:

        async def mailed() -> int:
            await again.deliver()
            return len(set(again.mailed) & {f"p{number}@example.com" for number in range(500)})

        for minute in range(1, 4):
            async with patience():
                while await mailed() < 10 * minute:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1.2)
            assert await mailed() == 10 * minute, "more than its pace"
            clock.ahead_us += 60_000_000
