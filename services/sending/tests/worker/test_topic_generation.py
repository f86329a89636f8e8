"""After a restore the topics have their old names and other contents: what was kept of them counts no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postlaw_common.bus import Record, Topic
from postlaw_common.bus.embedded import EmbeddedBus
from postlaw_common.bus.generation import GenerationOver, Generations
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holdings import HOLDINGS
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, SINGLES, WATERMARKS, Applied
from postlaw_sending.worker.ownership import WORKERS
from services.sending.tests.worker.mill import PARTITIONS, Mill, Wire, person, running, until


@asynccontextmanager
async def opened(store: EmbeddedStore, bus_at: Path) -> AsyncGenerator[Mill]:
    """An installation on this store, and on the bus of this directory."""
    bus = EmbeddedBus(str(bus_at), partitions=PARTITIONS)
    await bus.start()
    await bus.ensure_topics([Topic(name) for name in (CONSENT_EVENTS, JOBS, SINGLES, WATERMARKS, OUTCOMES)])
    mill = Mill(bus, store)
    await mill.holdings.ensure()
    mill.generation = await Generations(bus).begin()
    watching = asyncio.create_task(mill.watermarks.run())
    try:
        yield mill
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await bus.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[EmbeddedStore]:
    store = EmbeddedStore(str(tmp_path), "sending")
    await store.start([HOLDINGS, WORKERS])
    yield store
    await store.close()


@promise("M6")
async def test_on_emptied_topics_nobody_is_mailed_twice_and_no_offset_of_the_old_ones_stops_anything(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    async with opened(store, tmp_path / "before") as before:
        before.wire.hold = True
        for i in range(500, 510):
            await before.withdraw(i)
        await before.send_to(range(40))
        async with running(before.worker(lanes=1)):
            await until(lambda: len(before.wire.begun) >= 32)
        tag, offset = await before.withdraw(1000)
        earlier = before.generation
    begun = {to for to, _ in before.wire.begun}
    async with opened(store, tmp_path / "after") as after:
        assert after.generation != earlier
        async with running(after.worker()) as worker:
            await until(lambda: len(worker.held) == PARTITIONS)
            holding = await after.holdings.read(0)
            assert (holding.generation, holding.batches, holding.job_offset) == (after.generation, [], 0)
            assert {entry.tag for entry in holding.left_open}, "what was under way stays open"
            assert not (await after.await_stopped(tag, 0, offset, earlier, within_s=1)).stopped
            new = await after.withdraw(2000)
            assert (await after.await_stopped(new[0], 0, new[1], after.generation)).stopped
            after.batches[0] = 1
            await after.send_to(range(100, 110))
            await after.outcomes(1)
        mailed = {to for to, _ in after.wire.begun}
    assert mailed == {person(i).address for i in range(100, 110)}
    assert not mailed & begun


@promise("M6")
async def test_a_batch_that_was_decided_on_other_topics_is_not_sent(store: EmbeddedStore, tmp_path: Path) -> None:
    """The bus or the store was set back and the generation raised: of what stands in the log, nobody knows what was mailed."""
    async with opened(store, tmp_path / "bus") as mill:
        await mill.send_to(range(10))
        mill.generation = await Generations(mill.bus).raise_()
        await mill.send_to(range(10, 20))
        async with running(mill.worker()):
            [settled] = await mill.outcomes(1)
    assert {to for to, _ in mill.wire.begun} == {person(i).address for i in range(10, 20)}
    assert settled.generation == mill.generation


@promise("M6")
async def test_a_worker_ends_when_the_topics_are_no_longer_those_it_began_with(store: EmbeddedStore, tmp_path: Path) -> None:
    async with opened(store, tmp_path / "bus") as mill:
        worker = mill.worker(Wire())
        ending = asyncio.create_task(worker.run())
        await until(lambda: len(worker.held) == PARTITIONS)
        await Generations(mill.bus).raise_()
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(ending, 10)
        assert ended.group_contains(GenerationOver)


@promise("M6")
async def test_stopped_is_never_answered_on_a_watermark_of_another_generation(store: EmbeddedStore, tmp_path: Path) -> None:
    """Same partition, same epoch, and an offset that fits: of other topics all the same."""
    async with opened(store, tmp_path / "bus") as mill:
        taken = await mill.holdings.take(await mill.holdings.read(0), "another", "gen_before")
        assert taken is not None
        mark = Applied(0, 500, frozenset(), taken.epoch, frozenset(), "gen_before")
        await mill.bus.publish([Record(WATERMARKS, 0, mark.to_bytes())])
        await until(lambda: mill.watermarks.latest(0, "gen_before") == mark)
        tag, offset = await mill.withdraw(3)
        assert not (await mill.await_stopped(tag, 0, offset, mill.generation, within_s=0.5)).stopped


class Late(Generations):
    """As a process asks that began before the topics were replaced, and stood still since."""

    generation = "gen_before"

    async def begin(self) -> str:
        return self.generation


async def test_a_worker_that_is_late_voids_nothing_of_the_topics_of_today(store: EmbeddedStore, tmp_path: Path) -> None:
    async with opened(store, tmp_path / "bus") as mill:
        mill.wire.hold = True
        await mill.send_to(range(40))
        async with running(mill.worker(lanes=1)):
            await until(lambda: len(mill.wire.begun) >= 32)
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(mill.worker(Wire(), generations=Late(mill.bus)).run(), 10)
        assert ended.group_contains(GenerationOver)
        holding = await mill.holdings.read(0)
        assert (holding.generation, len(holding.batches)) == (mill.generation, 1)


@promise("M6")
async def test_a_worker_that_is_late_takes_no_batch_of_today_for_the_one_that_stood_in_its_place(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    """It takes a partition of its own generation, whose ledger speaks of a job at an offset where another stands by now."""
    async with opened(store, tmp_path / "before") as before:
        before.wire.hold = True
        await before.send_to(range(40))
        async with running(before.worker(lanes=1)):
            await until(lambda: len(before.wire.begun) >= 32)
        earlier = before.generation
    async with opened(store, tmp_path / "after") as after:
        await after.send_to(range(100, 140))
        late = Late(after.bus)
        late.generation = earlier
        worker = after.worker(Wire(), generations=late)
        with pytest.raises(ExceptionGroup) as ended:
            await asyncio.wait_for(worker.run(), 10)
        assert ended.group_contains(GenerationOver)
        assert not worker.held
