from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postlaw_common.bus import Bus, Received, Record, Topic, open_bus
from postlaw_common.outbox import DUE, OUTBOX_INDEX, Outbox, add_to_outbox, pack, unpack
from postlaw_common.store import Collection, CollectionSpec, open_store
from postlaw_common.testing.patience import patience

TOPIC = "postlaw.test.events.v1"


def record(name: str) -> Record:
    return Record(TOPIC, 1, name.encode(), b"key", {"ce_id": name.encode()})


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic(TOPIC)])
    yield bus
    await bus.close()


@pytest.fixture
async def things(tmp_path: Path) -> AsyncIterator[Collection]:
    store = open_store("sqlite:", "test", state=str(tmp_path))
    await store.start([CollectionSpec("things", (OUTBOX_INDEX,))])
    yield store.collection("things")
    await store.close()


async def published(bus: Bus) -> list[str]:
    records: list[Received] = await bus.read_range(TOPIC, 1, 0, 100)
    return [record.value.decode() for record in records]


def test_a_packed_record_comes_back_the_same():
    assert unpack(pack(record("e1"))) == record("e1")


async def test_what_still_waits_in_a_document_goes_out_with_its_next_change(bus: Bus, things: Collection):
    await things.insert(add_to_outbox({"_id": "t1"}, [record("e1")]))  # and its writer crashed
    document = add_to_outbox(await things.get("t1") or {}, [record("e2")])
    await things.replace(document, version=1)
    assert await Outbox(bus, lambda: [things]).publish_after_write(things, document) == [0, 1]
    assert await published(bus) == ["e1", "e2"]


async def test_what_was_written_is_published_at_once_and_then_cleared(bus: Bus, things: Collection):
    outbox = Outbox(bus, lambda: [things])
    document = add_to_outbox({"_id": "t1", "name": "x"}, [record("e1"), record("e2")])
    await things.insert(document)
    assert await outbox.publish_after_write(things, document) == [0, 1]
    assert (await things.get("t1") or {})["outbox_due"] == DUE
    await outbox.clear()
    assert await things.get("t1") == {"_id": "t1", "v": 2, "name": "x"}
    assert await outbox.sweep() == 0


async def test_what_a_crash_left_unpublished_is_swept_up_once(bus: Bus, things: Collection):
    await things.insert(add_to_outbox({"_id": "t1"}, [record("e1")]))
    outbox = Outbox(bus, lambda: [things], sweep_after_s=0)
    assert await outbox.sweep() == 1
    assert await outbox.sweep() == 0
    await outbox.clear()
    assert await published(bus) == ["e1"]
    assert await things.find("outbox_due", DUE) == []


async def test_a_document_just_written_is_left_to_its_writer(bus: Bus, things: Collection):
    await things.insert(add_to_outbox({"_id": "t1"}, [record("e1")]))
    assert await Outbox(bus, lambda: [things], sweep_after_s=60).sweep() == 0


async def test_a_change_made_before_the_last_one_was_cleared_keeps_both_and_repeats_none(bus: Bus, things: Collection):
    outbox = Outbox(bus, lambda: [things])
    first = add_to_outbox({"_id": "t1"}, [record("e1")])
    await things.insert(first)
    await outbox.publish_after_write(things, first)
    second = await things.get("t1")
    assert second is not None
    await things.replace(add_to_outbox(second, [record("e2")]), version=1)
    assert await outbox.publish_after_write(things, second) == [1]
    await outbox.clear()
    assert await published(bus) == ["e1", "e2"]
    assert "outbox" not in (await things.get("t1") or {})


async def test_clearing_leaves_what_somebody_else_has_still_to_publish(bus: Bus, things: Collection):
    outbox = Outbox(bus, lambda: [things])
    first = add_to_outbox({"_id": "t1"}, [record("e1")])
    await things.insert(first)
    await outbox.publish_after_write(things, first)
    await things.replace(add_to_outbox(await things.get("t1") or {}, [record("e2")]), version=1)
    await outbox.clear()
    assert [packed["value"] for packed in (await things.get("t1") or {})["outbox"]] == [b"e2"]


async def test_a_bus_that_is_away_loses_nothing_and_fails_nobody(bus: Bus, things: Collection, tmp_path: Path):
    away = open_bus("embedded:", state=str(tmp_path / "away"))
    await away.start()
    await away.ensure_topics([Topic(TOPIC)])
    await away.close()
    document = add_to_outbox({"_id": "t1"}, [record("e1")])
    await things.insert(document)
    assert await Outbox(away, lambda: [things]).publish_after_write(things, document) is None
    outbox = Outbox(bus, lambda: [things], sweep_after_s=0, clear_after_s=0)
    running = asyncio.create_task(outbox.run())
    async with patience():
        while await things.find("outbox_due", DUE):
            await asyncio.sleep(0.005)
    running.cancel()
    assert await published(bus) == ["e1"]
