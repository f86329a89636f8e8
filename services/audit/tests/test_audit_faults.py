"""The log while things fail around it: bucket away, a writer paused and overtaken, records that nobody of ours has made."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from postlaw_audit.log_state import LEASE_S, LOG, LOG_ID, LogState, WriterOvertaken
from postlaw_audit.notes import sign
from postlaw_audit.publishing import CHECKPOINT
from postlaw_audit.sources import PREFIX
from postlaw_audit.verifying import verify_log
from postlaw_audit.writer import SEGMENTS
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import Record
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import TOPICS, Installation, running


@promise("A3")
async def test_a_bucket_that_takes_no_tiles_for_a_while_costs_no_entry_and_repeats_none(
    there: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, refused = there.blobs.put, set[str]()

    async def failing(key: str, data: bytes, **options: Any) -> None:
        if "/tile/" in key:
            refused.add(key)
            raise BlobsUnavailable("S3 does not answer")
        await put(key, data, **options)

    async with running(there.writer("a")):
        await there.publish(300)
        await there.reaches(300)
        with monkeypatch.context() as patch:
            patch.setattr(there.blobs, "put", failing)
            ids = await there.publish(300)
            async with patience():
                while PREFIX + "tile/0/001" not in refused:
                    await asyncio.sleep(0.02)
        ids += await there.publish(100)
        await there.reaches(700)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 700
    assert len({(await there.reader.prove_event(event_id)).index for event_id in ids}) == 400


@promise("A3")
async def test_a_paused_and_overtaken_writer_leaves_the_newer_checkpoint(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    paused, go_on, add = asyncio.Event(), asyncio.Event(), there.index.add
    stood_still, clock = 0.0, itertools.count(step=100)
    first_states = there.states("first", lambda: time.monotonic() + stood_still)

    async def pause(*arguments: Any) -> Any:
        paused.set()
        await go_on.wait()
        return await add(*arguments)

    async def stand_still(state: LogState) -> LogState:
        return await asyncio.Future()

    first = asyncio.create_task(there.writer("first", first_states).run())
    await there.publish(100)
    await there.reaches(100)
    with monkeypatch.context() as patch:
        patch.setattr(there.index, "add", pause)
        await there.publish(100)
        await paused.wait()
    monkeypatch.setattr(first_states, "commit", stand_still)
    async with running(there.writer("second", there.states("second", lambda: next(clock)))):
        await there.publish(100)
        await there.reaches(300)
        put, published = there.blobs.put, list[str]()

        async def watched(key: str, data: bytes, **options: Any) -> None:
            published.append(key)
            await put(key, data, **options)

        monkeypatch.setattr(there.blobs, "put", watched)
        stood_still = LEASE_S
        go_on.set()
        await asyncio.sleep(0.3)
        assert CHECKPOINT not in published
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 300


@promise("A3")
async def test_the_store_is_asked_whose_the_log_is_once_another_may_have_taken_it_and_not_before(there: Installation) -> None:
    now = 0.0
    states, others = there.states("first", lambda: now), there.states("second", itertools.count(step=100).__next__)
    state = await states.try_to_own()
    assert state is not None
    await others.try_to_own()  # it has seen whose the log is
    assert await others.try_to_own() is not None
    now = LEASE_S / 2 - 0.1
    await states.still_owns(state)
    now = LEASE_S / 2
    with pytest.raises(WriterOvertaken):
        await states.still_owns(state)
    with pytest.raises(WriterOvertaken):
        await states.commit(state)
    now = 0.0
    with pytest.raises(WriterOvertaken):
        await states.still_owns(state)


@promise("A3")
async def test_an_older_checkpoint_that_came_late_is_replaced_though_nothing_more_happens(there: Installation) -> None:
    async with running(there.writer("a")):
        await there.publish(100)
        await there.reaches(100)
        older, _ = await there.reader.checkpoint()
        await there.publish(100)
        await there.reaches(200)
        await there.blobs.put(CHECKPOINT, sign(older, there.key).encode())
        await there.reaches(200)


@promise("A1")
async def test_a_record_with_headers_beyond_all_bounds_is_entered_and_holds_up_nothing(there: Installation) -> None:
    headers = dict.fromkeys(
        ("ce_id", "ce_type", "ce_tenant", "ce_subject", "ce_actor", "ce_onbehalfof", "traceparent"), b"\xff\xc3\xa9" * 50_000
    )
    await there.bus.publish([Record(TOPICS[0], 0, bytes(61_000), None, headers | {"ce_sequence": b"9" * 5000})])
    async with running(there.writer("a")):
        await there.reaches(1)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 1


@promise("A3")
async def test_a_segment_that_a_crash_left_is_swept_and_one_that_may_be_another_writers_is_not(there: Installation) -> None:
    async with running(there.writer("a")):
        await there.publish(300)
        await there.reaches(300)
    await there.blobs.put(f"{SEGMENTS}{200:015d}-seg_lost", b"")
    await there.blobs.put(f"{SEGMENTS}{300:015d}-seg_next", b"")
    async with running(there.writer("b")):
        await there.publish(10)
        await there.reaches(310)
    left = [key.partition("-")[2] async for key in there.blobs.keys(SEGMENTS)]
    assert "seg_lost" not in left
    assert "seg_next" in left


async def test_the_logs_document_stays_small_and_no_list_stands_inside_a_list(there: Installation) -> None:
    async with running(there.writer("a")):
        for size in range(300, 1801, 300):
            await there.publish(300)
            await there.reaches(size)
    document = await there.store.collection(LOG.name).get(LOG_ID)
    assert document is not None
    assert len(document["segments"]) <= 3
    assert [value for found in document.values() if isinstance(found, list) for value in found if isinstance(value, list)] == []
    assert [key async for key in there.blobs.keys(SEGMENTS)] == [segment["key"] for segment in document["segments"]]
