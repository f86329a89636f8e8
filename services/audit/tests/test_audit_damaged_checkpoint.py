"""A checkpoint object that somebody damaged: nothing stops, nothing goes, and the writer sets it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.log_state import LOG
from postlaw_audit.publishing import CHECKPOINT, WITNESSED
from postlaw_audit.reader import LogReader
from postlaw_audit.sweeping import Sweeping
from postlaw_audit.verifying import verify_log
from postlaw_common.blobs.embedded import EmbeddedBlobs
from postlaw_common.errors import Unavailable
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import Installation, running
from services.audit.tests.reported import Customer, auditing, key_made, put, reaches

DAMAGED = [b"", b"\xff\xff", b"test.example/log\nmany\n", b"test.example/log\n5\nnonsense\n\n"]


@promise("A1", "A3")
async def test_audit_starts_over_a_damaged_checkpoint_and_publishes_it_again(tmp_path: Path) -> None:
    async with auditing(tmp_path) as made:
        await put(made, [key_made("key_1", "shop")])
    blobs = EmbeddedBlobs(str(tmp_path))
    await blobs.start()
    for key in (CHECKPOINT, WITNESSED):
        await blobs.put(key, b"\xff")
    await blobs.close()
    async with auditing(tmp_path) as made:
        await reaches(made, 1)
        assert (await Customer(made).stub.GetCheckpoint(audit.GetCheckpointRequest())).size == 1
        await asyncio.sleep(0.7)  # what reads it at the start has read it
        await put(made, [key_made("key_2", "shop")])


@promise("A3")
@pytest.mark.parametrize("damaged", DAMAGED)
async def test_a_checkpoint_that_is_damaged_while_the_log_is_written_is_set_again(there: Installation, damaged: bytes) -> None:
    async with running(there.writer("a")):
        await there.publish(5)
        await there.reaches(5)
        await there.blobs.put(CHECKPOINT, damaged)
        with pytest.raises(Unavailable):
            await there.reader.checkpoint()
        async with patience():
            while await there.blobs.get(CHECKPOINT) == damaged:
                await asyncio.sleep(0.05)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 5


@promise("A3")
async def test_what_nobody_can_read_is_no_witnessed_checkpoint_and_lets_no_tile_go(there: Installation) -> None:
    async with running(there.writer("a")):
        [first, *_] = await there.publish(300)
        await there.reaches(300)
    await there.blobs.put(WITNESSED, b"\xff")
    proof = await LogReader(there.blobs, there.index, witnessed=lambda: True).prove_event(first)
    assert proof.checkpoint.size == 300
    now_us = iter((0, 1 << 50))
    sweeping = Sweeping(there.blobs, lambda: there.store.collection(LOG.name), lambda: next(now_us))
    assert [await sweeping.once() for _ in range(2)] == [0, 0]
    assert await there.store.collection(LOG.name).get("partial-tiles") is None
