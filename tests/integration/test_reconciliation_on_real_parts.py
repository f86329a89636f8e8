"""Single records of the bus held against documents of the store, on Kafka and a MongoDB-wire server: read by stretches, not one by one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus, Received, Record, Topic, open_bus
from postlaw_common.ids import new_id
from postlaw_common.reconciling import Difference, Step
from postlaw_common.store import Collection, Document, open_store
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.scope import EVERYTHING
from postlaw_consent.ledger import LEDGER, Entry, document_of
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.reconciling import LedgerChecks
from postlaw_consent.standings import SNAPSHOTS
from postlaw_consent.wire import decode, encode
from postlaw_sending.campaigns.outcomes import BATCHES
from postlaw_sending.campaigns.reconciling import BatchChecks
from postlaw_sending.campaigns.retries import batch_id
from postlaw_sending.campaigns.wire import OUTCOMES

PARTITIONS, EACH = 4, 600
GENERATION = "g1"


class Counted:
    """A bus that counts how often it was read back."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.ranges = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def read_range(self, *place: Any) -> list[Received]:
        self.ranges += 1
        return await self._bus.read_range(*place)


@dataclass
class Parts:
    bus: Counted
    stores: dict[str, Any] = field(default_factory=dict[str, Any])

    def collection(self, service: str, name: str) -> Collection:
        return self.stores[service].collection(name)


@pytest.fixture
async def parts(local_kafka: Any, mongodb_url: str) -> AsyncGenerator[Parts]:
    bus = open_bus(local_kafka().url, state="", partitions=PARTITIONS)
    await bus.start()
    await bus.ensure_topics([Topic(OUTCOMES), EVENTS])
    made, run = Parts(Counted(bus)), secrets.token_hex(4)
    for service, specs in {"sending": (BATCHES,), "consent": (LEDGER, SNAPSHOTS)}.items():
        made.stores[service] = open_store(mongodb_url, f"{service}{run}", state="")
        await made.stores[service].start(specs)
    yield made
    for store in made.stores.values():
        await store.close()
    await bus.close()


async def found(look: AsyncGenerator[Step]) -> list[Difference]:
    async with aclosing(look) as steps:
        return [one async for step in steps for one in step.differences]


@promise("S8")
async def test_settled_batches_are_held_against_outcomes_by_stretches_and_the_one_that_differs_is_named(parts: Parts) -> None:
    async def nobody() -> list[Any]:
        return []

    batches, bus = parts.collection("sending", BATCHES.name), cast("Bus", parts.bus)
    checks = BatchChecks(lambda: batches, bus, nobody, lambda _: False, lambda: GENERATION, lambda: 1 << 60)
    said = [
        sending.BatchSettled(
            tenant_id="ten_1", campaign_id="cmp_1", partition=number % PARTITIONS, batch=number, states=b"\2", generation=GENERATION
        ).SerializeToString()
        for number in range(PARTITIONS * EACH)
    ]
    offsets = await bus.publish([Record(OUTCOMES, number % PARTITIONS, one) for number, one in enumerate(said)])
    await batches.insert_many(
        [
            {"_id": batch_id("cmp_1", number % PARTITIONS, number), "campaign_id": "cmp_1", "offset": offset, "event": one}
            for number, (offset, one) in enumerate(zip(offsets, said, strict=True))
        ]
    )
    assert await found(checks.batches_against_outcomes("")) == []
    assert parts.bus.ranges <= 4 * PARTITIONS  # a page of documents may end within a partition's
    id = batch_id("cmp_1", 77 % PARTITIONS, 77)
    document = await batches.get(id)
    assert document is not None
    forged = sending.BatchSettled.FromString(said[77])
    forged.states = b"\3"
    await batches.replace(document | {"event": forged.SerializeToString()}, version=document["v"])
    [difference] = await found(checks.batches_against_outcomes(""))
    assert difference.ids == (id, f"{OUTCOMES}/{77 % PARTITIONS}@{offsets[77]}")


@promise("S8", "M6")
async def test_withdrawals_are_held_against_the_bus_by_stretches_and_the_one_that_differs_is_named(parts: Parts) -> None:
    ledger, bus = parts.collection("consent", LEDGER.name), cast("Bus", parts.bus)
    checks = LedgerChecks(
        lambda: ledger, lambda: parts.collection("consent", SNAPSHOTS.name), bus, decode, lambda: GENERATION, lambda: 1 << 60
    )
    entries = [Entry(event := withdrawal(number), encode(event), number % PARTITIONS) for number in range(PARTITIONS * EACH)]
    offsets = await bus.publish([Record(EVENTS.name, entry.partition, entry.data) for entry in entries])
    documents: list[Document] = [
        document_of(entry) | {"offset": offset, "generation": GENERATION} for entry, offset in zip(entries, offsets, strict=True)
    ]
    await ledger.insert_many(documents)
    assert await found(checks.ledger_against_suppression("")) == []
    assert parts.bus.ranges <= 4 * PARTITIONS
    assert await found(checks.bus_against_ledger("")) == []
    kept = await ledger.get(documents[77]["_id"])
    assert kept is not None
    await ledger.replace(kept | {"offset": offsets[77 + PARTITIONS]}, version=kept["v"])
    [difference] = await found(checks.ledger_against_suppression(""))
    assert difference.what == "a withdrawal in whose place the bus has another event"
    assert difference.ids[1:] == (f"{EVENTS.name}/{77 % PARTITIONS}@{offsets[77 + PARTITIONS]}", kept["_id"])


def withdrawal(number: int) -> ConsentEvent:
    key, us = bytes([1]) + number.to_bytes(4, "big") * 8, 1_800_000_000_000_000
    actor = Actor("person", "self")
    return ConsentEvent(new_id("evt"), "ten_1", key, 1, "withdrawn", EVERYTHING, "page", us, us, actor)
