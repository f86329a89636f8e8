"""What `postlaw audit verify` finds even where whoever tampered holds the signing key, and what only an earlier checkpoint tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from postlaw_audit.entries import entries_of
from postlaw_audit.notes import NoteInvalid
from postlaw_audit.sources import CHECKPOINT, FolderFiles
from postlaw_audit.verifying import LogInvalid, verify_log
from postlaw_common.bus import Received
from postlaw_common.bus.generation import PLACE
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import TOPIC, VERIFIERS, entries, write, write_log

Change = Callable[[list[bytes]], list[bytes]]
VERIFIER = VERIFIERS[0]


@promise("A3")
@pytest.mark.parametrize("size", [10, 150_000])
async def test_a_log_whose_records_follow_each_other_is_whole(tmp_path: Path, size: int) -> None:
    write_log(tmp_path, entries(600 if size == 10 else 5, size=size))
    await verify_log(FolderFiles(tmp_path), VERIFIER)


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
async def test_what_was_signed_without_a_record_or_with_one_twice_is_named(tmp_path: Path, change: Change, named: str) -> None:
    write_log(tmp_path, change(entries(600)))
    with pytest.raises(LogInvalid, match=named):
        await verify_log(FolderFiles(tmp_path), VERIFIER)


@promise("A3")
@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_missing_part_of_a_large_event_is_named(tmp_path: Path, part: int) -> None:
    found = entries(4, size=150_000)
    write_log(tmp_path, found[:part] + found[part + 1 :])
    with pytest.raises(LogInvalid, match="part"):
        await verify_log(FolderFiles(tmp_path), VERIFIER)


@promise("A3")
async def test_a_log_cut_back_or_written_anew_is_told_by_an_earlier_checkpoint(tmp_path: Path) -> None:
    honest = entries(600)
    earlier = write_log(tmp_path, honest[:500])
    write_log(tmp_path, honest)
    await verify_log(FolderFiles(tmp_path), VERIFIER, earlier)
    await verify_log(FolderFiles(tmp_path), VERIFIER, write_log(tmp_path, honest))
    write_log(tmp_path, honest[:450])
    with pytest.raises(LogInvalid, match="cut back"):
        await verify_log(FolderFiles(tmp_path), VERIFIER, earlier)
    write_log(tmp_path, entries(600, size=11))
    with pytest.raises(LogInvalid, match="first 500 entries"):
        await verify_log(FolderFiles(tmp_path), VERIFIER, earlier)


@promise("A3")
@pytest.mark.parametrize("note", [b"", b"\xff\xff", b"test.example/log\n1\nAAAA\n\n\xe2\x80\x94 test.example/log %%%\n"])
async def test_a_checkpoint_that_is_none_is_said_to_be_none(tmp_path: Path, note: bytes) -> None:
    write(tmp_path / CHECKPOINT, note)
    with pytest.raises(NoteInvalid):
        await verify_log(FolderFiles(tmp_path), VERIFIER)


def generation(*ends: int) -> list[bytes]:
    """The entry of one that was raised when the two partitions ended there; none: of one that was begun on empty topics."""
    value = b"gen_2" + (b'\n{"%s": [%d, %d]}' % (TOPIC.encode(), *ends) if ends else b"")
    return [entry for _, entry in entries_of(Received(*PLACE, 1, value, None, {}, 0))]


@promise("A3")
async def test_offsets_come_again_where_a_generation_of_the_topics_says_and_nowhere_else(tmp_path: Path) -> None:
    honest = entries(600)
    write_log(tmp_path, [*honest, *generation(200, 500), *honest[400::2]])
    assert (await verify_log(FolderFiles(tmp_path), VERIFIER)).generations == 1
    write_log(tmp_path, [*honest, *generation(), *honest])
    await verify_log(FolderFiles(tmp_path), VERIFIER)
    for elsewhere in ([*generation(200, 500), *honest[398::2]], [*generation(200, 500), *honest[401::2]], [*generation(), *honest[1:]]):
        write_log(tmp_path, honest + elsewhere)
        with pytest.raises(LogInvalid, match="comes next"):
            await verify_log(FolderFiles(tmp_path), VERIFIER)
