"""The log end to end on the embedded adapters: exactly once from the bus, provable, and any damage is named."""

from __future__ import annotations

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.merkle import leaf_hash, verify_consistency, verify_inclusion
from postlaw_audit.domain.tiles import unbundle
from postlaw_audit.entries import UNDECODABLE
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.notes import open_note
from postlaw_audit.sources import PREFIX
from postlaw_audit.verifying import LogInvalid, verify_log
from postlaw_common.bus import Record
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import ORIGIN, TOPICS, Installation, running


@promise("A1")
async def test_what_the_checkpoint_of_a_moment_ago_did_not_cover_is_proven_below_the_latest(
    there: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postlaw_audit.reader.RECENT_S", 3600.0)
    async with running(there.writer("a")):
        first, *_ = await there.publish(300)
        await there.reaches(300)
        before = await there.reader.prove_event(first)
        [later] = await there.publish(1)
        await there.reaches(301)
        proof = await there.reader.prove_event(later)
        again = await there.reader.prove_event(first)
    assert (before.checkpoint.size, proof.checkpoint.size, again.checkpoint.size) == (300, 301, 301)
    verify_inclusion(proof.index, 301, leaf_hash(proof.entry), proof.hashes, proof.checkpoint.root)


@promise("A1", "A3")
async def test_every_event_is_provable_and_the_log_verifies(there: Installation) -> None:
    async with running(there.writer("a")):
        ids = await there.publish(700)
        await there.reaches(700)
        for event_id in (ids[0], ids[333], ids[699]):
            proof = await there.reader.prove_event(event_id)
            verify_inclusion(proof.index, proof.checkpoint.size, leaf_hash(proof.entry), proof.hashes, proof.checkpoint.root)
            assert open_note(proof.note, ORIGIN, there.key.public_key().public_bytes_raw()) == proof.checkpoint
        before = (await there.reader.checkpoint())[0]
        await there.publish(400)
        await there.reaches(1100)
        second, hashes, first_root, second_root = await there.reader.prove_consistency(700, 0)
        assert first_root == before.root
        verify_consistency(700, second, first_root, second_root, hashes)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 1100


async def test_an_event_that_is_not_there_is_not_proven(there: Installation) -> None:
    async with running(there.writer("a")):
        await there.publish(5)
        await there.reaches(5)
        for absent in ("evt_00000000000000000000000000", "nonsense"):
            with pytest.raises(NotFound):
                await there.reader.prove_event(absent)


@promise("A3")
async def test_a_writer_that_starts_anew_neither_drops_nor_repeats(there: Installation) -> None:
    ids: list[str] = []
    for round in range(4):
        async with running(there.writer(f"w{round}")):
            ids += await there.publish(300)
            await there.reaches(300 * (round + 1))
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 1200
    indexes = [(await there.reader.prove_event(event_id)).index for event_id in ids]
    assert sorted(indexes) == list(range(1200))


@promise("A1")
async def test_an_event_over_the_limit_is_split_and_a_foreign_record_is_kept(there: Installation) -> None:
    large = new_event("x", bytes(150_000), source="consent", subject="s", sequence=1, tenant_id="ten_1")
    await there.bus.publish([to_record(large, TOPICS[0], 0), Record(TOPICS[0], 1, b"not ours")])
    async with running(there.writer("a")):
        await there.reaches(4)
        proof = await there.reader.prove_event(large.id)
    found = [audit.Entry.FromString(entry) for entry in unbundle(await there.blobs.get(PREFIX + "tile/entries/000.p/4") or b"")]
    assert b"".join(entry.data for entry in found if entry.event_id == large.id) == large.data
    assert [entry.type for entry in found if entry.event_id != large.id] == [UNDECODABLE]
    assert audit.Entry.FromString(proof.entry).context["part"] == "1/3"


class PowerCut(Exception):
    """The process ends here."""


@promise("A3")
@pytest.mark.parametrize("step", ["segment", "commit", "tile", "index", "checkpoint"])
async def test_killed_at_any_step_the_log_neither_drops_nor_repeats(
    there: Installation, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(there.writer("before")):
        ids = await there.publish(300)
        await there.reaches(300)
    put, insert_many = there.blobs.put, there.index.add

    async def cut_put(key: str, data: bytes, **options: object) -> None:
        if f"audit/{step}" in key:
            raise PowerCut
        await put(key, data, **options)  # pyright: ignore[reportArgumentType]

    async def cut_add(start: int, event_ids: list[str]) -> None:
        if step == "index":
            raise PowerCut
        await insert_many(start, event_ids)

    async def cut_commit(self: LogStates, state: object) -> object:
        raise PowerCut

    writer = there.writer("cut")
    ids += await there.publish(300)
    with monkeypatch.context() as patch:
        patch.setattr(there.blobs, "put", cut_put)
        patch.setattr(there.index, "add", cut_add)
        if step == "commit":
            patch.setattr(LogStates, "commit", cut_commit)
        with pytest.raises(PowerCut):
            async with patience():
                await writer.run()
    async with running(there.writer("after")):
        ids += await there.publish(100)
        await there.reaches(700)
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 700
    assert sorted([(await there.reader.prove_event(event_id)).index for event_id in ids]) == list(range(700))


@promise("A3")
@pytest.mark.parametrize("path", ["tile/entries/000", "tile/0/000", "tile/0/001.p/44", "tile/entries/001.p/44", "checkpoint"])
async def test_a_flipped_byte_is_found_and_named(there: Installation, path: str) -> None:
    async with running(there.writer("a")):
        await there.publish(300)
        await there.reaches(300)
    data = bytearray(await there.blobs.get(PREFIX + path) or b"")
    data[len(data) // 3] ^= 1
    await there.blobs.put(PREFIX + path, bytes(data))
    with pytest.raises((LogInvalid, ValueError)) as found:
        await verify_log(there.files, there.verifier)
    if path.startswith("tile"):
        assert path.split(".")[0] in str(found.value) or "root" in str(found.value) or "tile/0" in str(found.value)


@promise("A3")
async def test_a_second_writer_waits_and_an_overtaken_one_cannot_fork(there: Installation) -> None:
    """The first is paused in its commit; the second takes over; the first's commit is refused."""
    first = LogStates(lambda: there.store.collection(LOG.name), "first")
    owned = await first.try_to_own()
    assert owned is not None
    clock = [0.0]
    second = LogStates(lambda: there.store.collection(LOG.name), "second", lambda: clock[0])
    assert await second.try_to_own() is None
    clock[0] = 10.0
    taken = await second.try_to_own()
    assert taken is not None
    assert taken.epoch == owned.epoch + 1
    with pytest.raises(Exception, match="epoch"):
        await first.commit(owned)
