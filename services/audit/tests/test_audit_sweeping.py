"""Partial tiles go a day after full ones replaced them, and no checkpoint that anybody may hold loses what it needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postlaw_audit.log_state import LOG
from postlaw_audit.sources import CHECKPOINT, PREFIX, WITNESSED, FolderFiles
from postlaw_audit.sweeping import STAY_US, Sweeping
from postlaw_audit.verifying import LogInvalid, verify_log
from postlaw_common.testing.log_verifiers import LogVerifiers
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import Installation
from services.audit.tests.logs_made import VERIFIERS, cosigned, entries, write, write_log

SIZES = (100, 300, 600)


class Swept:
    """A log of `SIZES`, one after the other, and somebody who sweeps it at `now_us`."""

    def __init__(self, there: Installation, tmp_path: Path) -> None:
        self.folder = tmp_path / "blobs" / "objects" / PREFIX
        self.notes = {size: write_log(self.folder, entries(size)) for size in SIZES}
        self.now_us = 0
        self._sweeping = Sweeping(there.blobs, lambda: there.store.collection(LOG.name), lambda: self.now_us)

    async def after(self, us: int) -> int:
        self.now_us += us
        return await self._sweeping.once()

    def partial(self) -> set[str]:
        return {str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if ".p/" in str(file) and file.is_file()}


@pytest.fixture
def swept(there: Installation, tmp_path: Path) -> Swept:
    return Swept(there, tmp_path)


NEEDED = {"tile/entries/002.p/88", "tile/0/002.p/88", "tile/1/000.p/1", "tile/1/000.p/2"}  # the last two: no full tile has replaced them
REPLACED = {"tile/entries/000.p/100", "tile/0/000.p/100", "tile/entries/001.p/44", "tile/0/001.p/44"}


@promise("A3")
async def test_partial_tiles_go_a_day_after_they_were_replaced_and_older_checkpoints_still_verify(
    swept: Swept, other_verifiers: LogVerifiers
) -> None:
    assert swept.partial() == NEEDED | REPLACED
    assert [await swept.after(us) for us in (0, STAY_US - 1)] == [0, 0]
    assert swept.partial() == NEEDED | REPLACED
    assert await swept.after(1) == len(REPLACED)
    assert swept.partial() == NEEDED
    files, key = FolderFiles(swept.folder), swept.folder / "log.vkey"
    for size in SIZES:
        write(swept.folder / CHECKPOINT, swept.notes[size].encode())
        assert (await verify_log(files, VERIFIERS[0])).checkpoint.size == size
        assert f"Successfully fsck'd log with size {size}" in other_verifiers.fsck(str(swept.folder), key)
    (swept.folder / "tile/0/000").write_bytes(bytes(8192))
    write(swept.folder / CHECKPOINT, swept.notes[100].encode())
    with pytest.raises(LogInvalid, match="do not fit each other, from entry 0 on"):
        await verify_log(files, VERIFIERS[0])


@promise("A3")
async def test_what_the_witnessed_checkpoint_needs_stays(swept: Swept) -> None:
    write(swept.folder / WITNESSED, cosigned(swept.notes[300], 0).encode())
    await swept.after(0)
    assert await swept.after(STAY_US) == 2
    assert swept.partial() == NEEDED | {"tile/entries/001.p/44", "tile/0/001.p/44"}
    write(swept.folder / WITNESSED, cosigned(swept.notes[600], 0).encode())
    assert await swept.after(STAY_US) == 2
    assert swept.partial() == NEEDED


async def test_what_was_published_since_waits_for_a_day_of_its_own(swept: Swept) -> None:
    await swept.after(0)
    write_log(swept.folder, entries(800))
    assert await swept.after(STAY_US) == len(REPLACED)
    assert "tile/0/002.p/88" in swept.partial()
    assert await swept.after(STAY_US - 1) == 0
    assert await swept.after(1) == 2
    assert "tile/0/002.p/88" not in swept.partial()


async def test_one_under_retention_stays_until_that_ends(swept: Swept, there: Installation, tmp_path: Path) -> None:
    key = PREFIX + "tile/0/000.p/100"
    data = await there.blobs.get(key)
    assert data is not None
    await there.blobs.put(key, data, retain_until=datetime.now(UTC) + timedelta(days=1))
    await swept.after(0)
    assert await swept.after(STAY_US) == len(REPLACED) - 1
    (tmp_path / "blobs" / "retention" / key).unlink()
    assert await swept.after(STAY_US) == 1
