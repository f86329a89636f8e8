"""Records come out of the log as they went in, one that became several entries whole, and none out of a log that is not valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_audit.entries import entries_of
from postlaw_audit.records import verified_records
from postlaw_audit.sources import PREFIX
from postlaw_audit.verifying import LogInvalid
from postlaw_common.blobs.embedded import EmbeddedBlobs
from postlaw_common.bus import Received
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import TOPIC, write_log

OTHER = "postlaw.consent.decisions.v1"


@promise("A1")
async def test_records_come_out_of_the_log_as_they_went_in(tmp_path: Path) -> None:
    blobs = EmbeddedBlobs(str(tmp_path))
    await blobs.start()
    values = [b"few bytes", bytes(range(256)) * 600, b""]
    here = [Received(TOPIC, n % 2, n // 2, value, None, {"ce_id": b"evt_%d" % n}, n) for n, value in enumerate(values * 2)]
    others = [Received(OTHER, 0, n, b"of another topic", None, {"ce_id": b"oth_%d" % n}, 0) for n in range(6)]
    entries = [entry for pair in zip(here, others, strict=True) for record in pair for _, entry in entries_of(record)]
    assert len(entries) > len(here) + len(others)
    folder = tmp_path / "blobs" / "objects" / PREFIX
    write_log(folder, entries)
    assert [record async for page in verified_records(blobs, TOPIC) for record in page] == here
    write_log(folder, entries[1:])
    with pytest.raises(LogInvalid):
        assert [page async for page in verified_records(blobs, TOPIC)] == []
