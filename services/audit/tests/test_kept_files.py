"""Files that were read are kept in bounded memory, the last of them, tiles apart from bundles."""

from __future__ import annotations

import pytest

from postlaw_audit.domain.tiles import WIDTH, tile_path
from postlaw_audit.kept_files import KeptFiles
from services.audit.tests.installation import Installation, running


def test_what_was_read_longest_ago_goes_first_and_a_large_file_is_not_kept() -> None:
    kept = KeptFiles(1600)
    for number in range(20):
        kept.keep(str(number), bytes(100))
        assert kept.get("0") is not None  # read again and again
    assert [n for n in range(20) if kept.get(str(n)) is not None] == [0, *range(5, 20)]
    kept.keep("large", bytes(101))
    assert kept.get("large") is None and kept.get("0") == bytes(100)


async def test_bundles_that_are_read_do_not_drive_out_the_tiles_of_proofs(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(there.writer("a")):
        await there.publish(3 * WIDTH)
        await there.reaches(3 * WIDTH)
        checkpoint, _ = await there.reader.checkpoint()
        asked: list[str] = []
        get = there.blobs.get

        async def noted(key: str) -> bytes | None:
            asked.append(key)
            return await get(key)

        monkeypatch.setattr(there.blobs, "get", noted)
        monkeypatch.setattr(there.reader, "_bundles_kept", KeptFiles(0))
        for number in (0, 1, 2, 0, 1, 2):
            await there.reader.proved(number * WIDTH + 7, checkpoint.size, checkpoint)
    bundles = [key for key in asked if tile_path(-1, 0, WIDTH).rpartition("/")[0] in key]
    assert len(bundles) == 6 and len(set(bundles)) == 3
    tiles = [key for key in asked if key not in bundles]
    assert tiles and len(tiles) == len(set(tiles))
