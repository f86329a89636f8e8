"""What `postlaw audit verify` finds even where whoever tampered holds the signing key, and what only an earlier checkpoint tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.domain.tiles import GrowingTree
from postlaw_audit.entries import entries_of
from postlaw_audit.notes import Checkpoint, NoteInvalid, sign, verifier_key
from postlaw_audit.verifying import LogInvalid, verify_log
from postlaw_audit.writer import CHECKPOINT, PREFIX
from postlaw_common.blobs.embedded import EmbeddedBlobs
from postlaw_common.bus import Received
from postlaw_common.bus.generation import PLACE
from postlaw_common.testing.promises import promise

ORIGIN, TOPIC = "test.example/log", "postlaw.consent.events.v1"
Change = Callable[[list[bytes]], list[bytes]]
KEY = Ed25519PrivateKey.generate()
VERIFIER = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())


def entries(count: int, *, size: int = 10) -> list[bytes]:
    """Records of two partitions, taken in turn."""
    records = [Received(TOPIC, n % 2, n // 2, bytes(size), None, {"ce_id": b"evt_%d" % n}, 0) for n in range(count)]
    return [entry for record in records for _, entry in entries_of(record)]


@pytest.fixture
async def blobs(tmp_path: Path) -> EmbeddedBlobs:
    made = EmbeddedBlobs(str(tmp_path))
    await made.start()
    return made


async def log_of(blobs: EmbeddedBlobs, found: list[bytes]) -> str:
    """A log of these entries, every hash and the signature in order; its note."""
    tree = GrowingTree()
    for tile in [*tree.append(found), *tree.partial_tiles()]:
        await blobs.put(PREFIX + tile.path, tile.data)
    note = sign(Checkpoint(ORIGIN, tree.size, tree.root()), KEY)
    await blobs.put(CHECKPOINT, note.encode())
    return note


@promise("A3")
@pytest.mark.parametrize("size", [10, 150_000])
async def test_a_log_whose_records_follow_each_other_is_whole(blobs: EmbeddedBlobs, size: int) -> None:
    await log_of(blobs, entries(600 if size == 10 else 5, size=size))
    await verify_log(blobs, VERIFIER)


@promise("A3")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda e: e[:400] + e[401:], "entry 401 is offset 201 of .*/0, where offset 200 comes next", id="dropped"),
        pytest.param(lambda e: e[1:], "entry 1 is offset 1 of .*/0, where offset 0 comes next", id="first dropped"),
        pytest.param(lambda e: [*e[:400], e[398], *e[400:]], "entry 400 is offset 199 of .*/0, where offset 200 comes next", id="repeated"),
        pytest.param(lambda e: [*e[:400], e[402], e[401], e[400], *e[403:]], "entry 400 is offset 201", id="reordered"),
        pytest.param(lambda e: [*e[:400], b"\xff\xff", *e[401:]], "entry 400 is no entry", id="replaced"),
    ],
)  # fmt: skip
async def test_what_was_signed_without_a_record_or_with_one_twice_is_named(blobs: EmbeddedBlobs, change: Change, named: str) -> None:
    await log_of(blobs, change(entries(600)))
    with pytest.raises(LogInvalid, match=named):
        await verify_log(blobs, VERIFIER)


@promise("A3")
@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_missing_part_of_a_large_event_is_named(blobs: EmbeddedBlobs, part: int) -> None:
    found = entries(4, size=150_000)
    await log_of(blobs, found[:part] + found[part + 1 :])
    with pytest.raises(LogInvalid, match="part"):
        await verify_log(blobs, VERIFIER)


@promise("A3")
async def test_a_log_cut_back_or_written_anew_is_told_by_an_earlier_checkpoint(blobs: EmbeddedBlobs) -> None:
    honest = entries(600)
    earlier = await log_of(blobs, honest[:500])
    await log_of(blobs, honest)
    await verify_log(blobs, VERIFIER, earlier)
    await verify_log(blobs, VERIFIER, await log_of(blobs, honest))
    await log_of(blobs, honest[:450])
    with pytest.raises(LogInvalid, match="cut back"):
        await verify_log(blobs, VERIFIER, earlier)
    await log_of(blobs, entries(600, size=11))
    with pytest.raises(LogInvalid, match="first 500 entries"):
        await verify_log(blobs, VERIFIER, earlier)


@promise("A3")
@pytest.mark.parametrize("note", [b"", b"\xff\xff", b"test.example/log\n1\nAAAA\n\n\xe2\x80\x94 test.example/log %%%\n"])
async def test_a_checkpoint_that_is_none_is_said_to_be_none(blobs: EmbeddedBlobs, note: bytes) -> None:
    await blobs.put(CHECKPOINT, note)
    with pytest.raises(NoteInvalid):
        await verify_log(blobs, VERIFIER)


def generation(*ends: int) -> list[bytes]:
    """The entry of one that was raised when the two partitions ended there; none: of one that was begun on empty topics."""
    value = b"gen_2" + (b'\n{"%s": [%d, %d]}' % (TOPIC.encode(), *ends) if ends else b"")
    return [entry for _, entry in entries_of(Received(*PLACE, 1, value, None, {}, 0))]


@promise("A3")
async def test_offsets_come_again_where_a_generation_of_the_topics_says_and_nowhere_else(blobs: EmbeddedBlobs) -> None:
    honest = entries(600)
    await log_of(blobs, [*honest, *generation(200, 500), *honest[400::2]])
    assert (await verify_log(blobs, VERIFIER)).generations == 1
    await log_of(blobs, [*honest, *generation(), *honest])
    await verify_log(blobs, VERIFIER)
    for elsewhere in ([*generation(200, 500), *honest[398::2]], [*generation(200, 500), *honest[401::2]], [*generation(), *honest[1:]]):
        await log_of(blobs, honest + elsewhere)
        with pytest.raises(LogInvalid, match="comes next"):
            await verify_log(blobs, VERIFIER)
