"""What differs between jobs, settled batches and the events that tell of them is found, and named by its ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Record, Topic, open_bus
from postlaw_common.reconciling import Check, Difference
from postlaw_common.store import Collection, Document, open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.outcomes import BATCHES
from postlaw_sending.campaigns.reconciling import BatchChecks
from postlaw_sending.campaigns.retries import batch_id
from postlaw_sending.campaigns.wire import JOBS, OUTCOMES
from postlaw_sending.singles.domain import is_attempt
from postlaw_sending.stop.holding import BatchRecord, Holding

NOW = 1 << 60


@dataclass
class World:
    bus: Bus
    batches: Collection
    holdings: list[Holding] = field(default_factory=lambda: [Holding(1, generation="g1", job_offset=9)])

    def checks(self) -> dict[str, Check]:
        async def holdings() -> list[Holding]:
            return self.holdings

        made = BatchChecks(lambda: self.batches, self.bus, holdings, is_attempt, lambda: "g1", lambda: NOW)
        return {check.name: check for check in made.all()}

    async def settled(self, number: int, *, kept: bool = True, states: bytes = b"\2", campaign_id: str = "cmp_1") -> bytes:
        said = sending.BatchSettled(
            tenant_id="ten_1", campaign_id=campaign_id, partition=1, batch=number, address_keys=[b"a"], states=states, generation="g1"
        ).SerializeToString()
        [offset] = await self.bus.publish([Record(OUTCOMES, 1, said)])
        if kept:
            await self.batches.insert(
                {"_id": batch_id(campaign_id, 1, number), "campaign_id": campaign_id, "offset": offset, "event": said}
            )
        return said

    async def job(self, number: int) -> None:
        said = sending.SealedBatch(tenant_id="ten_1", campaign_id="cmp_1", batch=number, generation="g1")
        await self.bus.publish([Record(JOBS, 1, said.SerializeToString())])

    async def found(self, name: str) -> list[Difference]:
        return [one async for step in self.checks()[name].look("") for one in step.differences]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic(OUTCOMES), Topic(JOBS)])
    store = open_store("sqlite:", "sending", state=str(tmp_path))
    await store.start([BATCHES])
    yield World(bus, store.collection(BATCHES.name))
    await store.close()
    await bus.close()


@promise("S8")
async def test_outcomes_that_the_ledger_lacks_or_has_otherwise_are_named(world: World) -> None:
    await world.settled(0)
    await world.settled(0, kept=False)  # published again by whoever took over: the same
    await world.settled(0, kept=False, campaign_id="msg_1")  # a single message's, which leaves no batch
    assert await world.found("outcomes against batches") == []
    await world.settled(1, kept=False)
    await world.settled(0, kept=False, states=b"\3")
    first, second = await world.found("outcomes against batches")
    assert first == Difference(
        "outcomes on the bus that the ledger of settled batches lacks", (batch_id("cmp_1", 1, 1), f"{OUTCOMES}/1@3"), "ten_1"
    )
    assert second == Difference("a batch that was settled twice, and not alike", (batch_id("cmp_1", 1, 0), f"{OUTCOMES}/1@4"), "ten_1")
    document = await world.batches.get(batch_id("cmp_1", 1, 0))
    assert document is not None
    forged = sending.BatchSettled.FromString(bytes(document["event"]))
    forged.states = b"\5"
    await world.batches.replace(document | {"event": forged.SerializeToString()}, version=document["v"])
    whats = [one.what for one in await world.found("outcomes against batches")]
    assert whats[0] == "outcomes that the ledger of settled batches has otherwise"
    [other_way] = await world.found("batches against outcomes")
    assert other_way.ids == (batch_id("cmp_1", 1, 0), f"{OUTCOMES}/1@0")


@promise("S8")
async def test_a_batch_that_a_worker_took_and_that_nobody_settled_is_named(world: World) -> None:
    for number in range(4):
        await world.job(number)
    await world.settled(0)
    await world.settled(1)
    world.holdings[0].batches.append(BatchRecord(2, "evt", 0, 0, b"\0", b""))
    world.holdings[0].job_offset = 3  # the last one waits
    assert await world.found("jobs against batches") == []
    world.holdings[0].batches.clear()
    [lost] = await world.found("jobs against batches")
    assert lost.ids == (batch_id("cmp_1", 1, 2), f"{JOBS}/1@2")


@promise("S8")
async def test_a_look_that_breaks_off_leaves_no_scan_of_the_store_open(world: World) -> None:
    await world.settled(0)
    batches, closed = world.batches, list[bool]()

    class Watched:
        async def scan(self, *, after: str) -> AsyncGenerator[list[Document]]:
            try:
                async for page in batches.scan(after=after):
                    yield page
            finally:
                closed.append(True)

    world.batches = cast("Collection", Watched())
    look = world.checks()["batches against outcomes"].look("")
    assert (await anext(look)).looked_at == 1 and not closed
    await look.aclose()
    assert closed == [True]


@promise("S8")
async def test_a_look_goes_on_where_it_was(world: World) -> None:
    await world.settled(0, kept=False)
    check = world.checks()["outcomes against batches"]
    [step] = [step async for step in check.look("")]
    assert len(step.differences) == 1
    await world.settled(1, kept=False)
    [further] = [step async for step in check.look(step.cursor)]
    assert [one.ids[0] for one in further.differences] == [batch_id("cmp_1", 1, 1)]
