"""Who plans a campaign when several processes could."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from postlaw_common.store.embedded import EmbeddedStore
from postlaw_sending.campaigns.leases import LEASES, Leases


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(directory: Path) -> AsyncGenerator[tuple[Leases, Leases, Clock]]:
    """Two processes on one store."""
    store, clock = EmbeddedStore(str(directory), "sending"), Clock()
    await store.start([LEASES])
    try:
        one, two = (Leases(lambda: store.collection(LEASES.name), owner, lambda: "gen", monotonic=clock) for owner in ("one", "two"))
        yield one, two, clock
    finally:
        await store.close()


async def test_a_campaign_has_one_planner_for_as_long_as_it_renews(tmp_path: Path) -> None:
    async with opened(tmp_path) as (one, two, clock):
        await one.offer("cmp_1")
        await one.offer("cmp_1")
        for _ in range(20):
            assert await one.hold() == {"cmp_1"}
            assert await two.hold() == set()
            clock.now += 1.0


async def test_another_takes_over_once_renewals_stand_still_for_a_lease_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (one, two, clock):
        await one.offer("cmp_1")
        await one.hold()
        await two.hold()
        clock.now += 2.9
        assert await two.hold() == set()
        clock.now += 0.2
        assert await two.hold() == {"cmp_1"}
        assert await one.hold() == set(), "who comes back does not believe that it still plans"


async def test_an_orderly_stop_hands_over_at_once_and_a_closed_campaign_is_nobodys(tmp_path: Path) -> None:
    async with opened(tmp_path) as (one, two, _):
        await one.offer("cmp_1")
        await one.hold()
        await one.release()
        assert await two.hold() == {"cmp_1"}
        await two.close("cmp_1")
        assert await one.hold() == await two.hold() == set()


async def test_a_campaign_that_is_reopened_while_its_planner_is_about_to_close_it_is_planned_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as (one, two, clock):
        await one.offer("cmp_1")
        await one.hold()
        await two.reopen("cmp_1")
        await one.close("cmp_1")
        await one.hold()
        clock.now += 3.1
        assert await one.hold() == {"cmp_1"}
        await one.close("cmp_1")
        await two.reopen("cmp_1")
        assert await two.hold() == {"cmp_1"}
