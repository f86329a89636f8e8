"""Refusals are told, and whoever tries a million of something cannot flood the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_common.bus import Bus, Topic, open_bus
from postlaw_common.caller import Actor, Caller
from postlaw_common.events import from_record
from postlaw_common.testing.promises import promise
from postlaw_gateway.security_events import KINDS_AT_ONCE, TOGETHER_S, TOLD_AT_ONCE, Refusal, SecurityEvents
from postlaw_gateway.wire import SECURITY_TOPIC


@dataclass
class World:
    bus: Bus
    clock: float = 0.0
    events: SecurityEvents = field(init=False)

    def __post_init__(self) -> None:
        self.events = SecurityEvents(self.bus, lambda: self.clock)

    async def told(self) -> list[audit.AccessRefused]:
        await self.events.flush()
        records = [record for p in range(2) for record in await self.bus.read_range(SECURITY_TOPIC, p, 0, 100_000)]
        return [audit.AccessRefused.FromString(record.value) for record in sorted(records, key=lambda one: one.headers["ce_time"])]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic(SECURITY_TOPIC)])
    yield World(bus)
    await bus.close()


def foreign(number: int) -> Refusal:
    caller = Caller("ten_1", Actor("api_key", "key_1"), credential_id="key_1", signed=b"%d" % number)
    return Refusal("foreign_id", "GET", "/v1/campaigns/{campaign_id}", caller, f"cmp_{number}")


@promise("S3")
async def test_the_same_refusal_again_and_again_is_a_few_events_with_its_number(world: World) -> None:
    for _ in range(10_000):
        world.events.refused(Refusal("unknown_key", "GET", "/v1/lists", network="192.0.2.0/24"))
    assert [(one.kind, one.times) for one in await world.told()] == [("unknown_key", 1)] * TOLD_AT_ONCE + [
        ("unknown_key", 10_000 - TOLD_AT_ONCE)
    ]
    [record, *_] = [r for p in range(2) for r in await world.bus.read_range(SECURITY_TOPIC, p, 0, 10)]
    assert from_record(record).network == "192.0.2.0/24"


@promise("S3")
async def test_ten_thousand_ids_are_a_few_events_that_count_them_all(world: World) -> None:
    for number in range(10_000):
        world.events.refused(foreign(number))
    told = await world.told()
    assert len(told) == KINDS_AT_ONCE + TOLD_AT_ONCE + 1
    assert sum(one.times for one in told) == 10_000
    assert len(told[-1].object_ids) == 20


@promise("S3")
async def test_half_a_minute_later_the_first_is_told_at_once_again(world: World) -> None:
    for _ in range(TOLD_AT_ONCE + 2):
        world.events.refused(foreign(1))
    world.clock += TOGETHER_S
    world.events.refused(foreign(1))
    assert sorted(one.times for one in await world.told()) == [*[1] * (TOLD_AT_ONCE + 1), 2]
