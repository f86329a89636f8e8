"""Programs of others on a log that our writer wrote: they accept it, and what we say is damaged, they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_audit.sources import CHECKPOINT, PREFIX, VERIFIER_KEY
from postlaw_common.testing.log_verifiers import LogVerifiers
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import Installation, running

SIZES = (257, 700)  # a partial tile beside a full one, twice


@pytest.fixture
async def log(there: Installation, tmp_path: Path) -> Path:
    """The log's folder, with an earlier checkpoint of it beside."""
    folder = tmp_path / "blobs" / "objects" / PREFIX
    async with running(there.writer("a")):
        await there.publish(SIZES[0])
        await there.reaches(SIZES[0])
        (tmp_path / "earlier").write_bytes((folder / CHECKPOINT).read_bytes())
        await there.publish(SIZES[1] - SIZES[0])
        await there.reaches(SIZES[1])
    (folder / VERIFIER_KEY).write_text(there.verifier)
    return folder


@promise("A3")
async def test_other_peoples_verifiers_accept_the_log_and_refuse_it_once_it_is_damaged(
    log: Path, tmp_path: Path, other_verifiers: LogVerifiers
) -> None:
    key = log / VERIFIER_KEY
    found = other_verifiers.sumdbcheck(str(log), key, earlier=tmp_path / "earlier")
    assert isinstance(found, dict), found
    assert (found["size"], found["proven"]) == (SIZES[1], SIZES[1])
    assert f"Successfully fsck'd log with size {SIZES[1]}" in other_verifiers.fsck(str(log), key)
    damaged = log / "tile" / "entries" / "002.p" / str(SIZES[1] - 512)
    data = bytearray(damaged.read_bytes())
    data[40] ^= 1
    damaged.write_bytes(data)
    assert other_verifiers.sumdbcheck(str(log), key) == "entry 512: invalid transparency proof\n"
    assert "fsck failed" in other_verifiers.fsck(str(log), key)
