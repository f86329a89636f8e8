"""A check looks when it is due, one process at a time, goes on where a lost one was, and what it finds is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postlaw.audit.v1 import audit_pb2
from postlaw_common.bus import Bus, open_bus
from postlaw_common.errors import Conflict
from postlaw_common.events import Event, from_record
from postlaw_common.reconciling import Check, Difference, ReconcilingSettings, Step
from postlaw_common.reconciling.runs import LEASE_S, RECONCILIATIONS, TOLD, Reconciler
from postlaw_common.reconciling.wire import DIFFERED, FINISHED, RESULTS
from postlaw_common.store import Collection, Store, StoreUnavailable, open_store
from postlaw_common.testing.promises import promise

DAY_US = 86_400_000_000


@dataclass
class World:
    bus: Bus
    store: Store
    now_us: int = 1_000_000
    clock: float = 0.0
    pages: Sequence[Sequence[Difference]] = ((), (Difference("two numbers", ("a", "b"), "ten_1"),), ())
    cursors: list[str] = field(default_factory=list[str])
    lost_after: int = 99

    def check(self) -> Check:
        async def look(cursor: str) -> AsyncGenerator[Step]:
            self.cursors.append(cursor)
            for number in range(int(cursor or 0), len(self.pages)):
                if number >= self.lost_after:
                    raise StoreUnavailable("lost by the test")
                yield Step(str(number + 1), 10, self.pages[number])

        return Check("one against the other", look)

    def reconciler(self, owner: str) -> Reconciler:
        def kept() -> Collection:
            return self.store.collection(RECONCILIATIONS.name)

        settings = ReconcilingSettings(every_s=86_400, quiet_s=0)
        return Reconciler("tested", self.bus, kept, [self.check()], settings, lambda: self.now_us, owner, lambda: self.clock)

    async def told(self) -> list[Event]:
        return [from_record(record) for p in range(2) for record in await self.bus.read_range(RESULTS.name, p, 0, 1000)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([RESULTS])
    store = open_store("sqlite:", "test", state=str(tmp_path))
    await store.start([RECONCILIATIONS])
    yield World(bus, store)
    await store.close()
    await bus.close()


@promise("S8")
async def test_a_check_looks_once_a_day_and_first_a_day_after_the_installation(world: World) -> None:
    one, other = world.reconciler("one"), world.reconciler("other")
    assert await one.look(world.check(), asked=False) is None
    world.now_us += DAY_US - 1
    assert await other.look(world.check(), asked=False) is None
    world.now_us += 1
    assert await other.look(world.check(), asked=False) is not None
    assert await one.look(world.check(), asked=False) is None
    assert world.cursors == [""]
    [document] = await one.now()
    assert (document["looked_at"], document["differences"], document["finished_us"]) == (30, 1, world.now_us)
    assert world.cursors == ["", ""]


@promise("S8")
async def test_what_differs_is_told_to_the_log_with_its_ids_and_so_is_the_end(world: World) -> None:
    await world.reconciler("one").now()
    differed, finished = await world.told()
    assert (differed.type, differed.tenant_id, finished.type, finished.tenant_id) == (DIFFERED, "ten_1", FINISHED, "")
    said = audit_pb2.ReconciliationDiffered.FromString(differed.data)
    assert (said.service, said.check) == ("tested", "one against the other")
    assert (said.difference.what, list(said.difference.ids)) == ("two numbers", ["a", "b"])
    end = audit_pb2.ReconciliationFinished.FromString(finished.data).reconciliation
    assert (end.run_id, end.looked_at, end.differences) == (said.run_id, 30, 1)


@promise("S8")
async def test_of_a_store_that_differs_everywhere_the_first_hundred_are_told_and_all_are_counted(world: World) -> None:
    world.pages = [[Difference("x", (str(number),)) for number in range(70)]] * 3
    [document] = await world.reconciler("one").now()
    assert document["differences"] == 210
    assert len([event for event in await world.told() if event.type == DIFFERED]) == TOLD


@promise("S8")
async def test_a_customer_whose_differences_come_after_the_first_hundred_hears_of_one(world: World) -> None:
    world.pages = [[Difference("x", (str(number),), f"ten_{number // 90}") for number in range(270)]]
    await world.reconciler("one").now()
    told = [event.tenant_id for event in await world.told() if event.type == DIFFERED]
    assert (told[:TOLD], told[TOLD:]) == (["ten_0"] * 90 + ["ten_1"] * 10, ["ten_2"])


@promise("S8")
async def test_one_process_at_a_time_and_another_goes_on_where_a_lost_one_was(world: World) -> None:
    world.lost_after = 2
    with pytest.raises(StoreUnavailable):
        await world.reconciler("one").now()
    world.lost_after, other = 99, world.reconciler("other")
    assert await other.look(world.check(), asked=False) is None, "the first may only be slow"
    with pytest.raises(Conflict):
        await other.now()
    world.clock += LEASE_S
    document = await other.look(world.check(), asked=False)
    assert document is not None
    assert world.cursors == ["", "2"]
    assert (document["looked_at"], document["differences"]) == (30, 1)


@promise("S8")
async def test_what_is_asked_for_in_a_process_is_not_taken_over_by_its_own_clock(world: World) -> None:
    asked_for, goes_on, reconciler = asyncio.Event(), asyncio.Event(), world.reconciler("one")

    async def look(cursor: str) -> AsyncGenerator[Step]:
        world.cursors.append(cursor)
        yield Step("1", 10)
        asked_for.set()
        await goes_on.wait()
        yield Step("2", 10)

    slow = Check("one against the other", look)
    asked = asyncio.create_task(reconciler.look(slow, asked=True))
    await asked_for.wait()
    by_clock = asyncio.create_task(reconciler.look(slow, asked=False))
    for _ in range(100):  # many times what a look-up in the store takes
        await asyncio.sleep(0.001)
    goes_on.set()
    document = await asked
    assert document is not None
    assert document["looked_at"] == 20
    assert await by_clock is None
    assert world.cursors == [""]
