"""Which files of the log anyone is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_audit.open_files import OpenFiles
from postlaw_audit.sources import FolderFiles
from postlaw_common.errors import Denied, NotFound
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import entries, write, write_log, write_successions

PROOFS = ("checkpoint", "log.vkey", "keys/2", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1")
ENTRIES = ("tile/entries/000", "tile/entries/001.p/44")
OTHERS = (
    "",
    "segment/000000000000000-seg_1",
    "../secret",
    "tile/0/../../../secret",
    "tile/-1/000",
    "tile/64/000",
    "tile/0/0000",
    "checkpoint/",
)


@promise("G1")
async def test_what_proves_the_log_is_open_and_what_it_holds_of_customers_only_where_the_operator_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(log, entries(300))
    write_successions(log)
    for file in ("segment/000000000000000-seg_1", "tile/64/000", "tile/0/0000"):
        write(log / file, b"inner")
    write(tmp_path / "secret", b"secret")
    closed, open = (OpenFiles(FolderFiles(log), public) for public in (False, True))
    for path in PROOFS:
        assert await closed.get(path) == (log / path).read_bytes()
    for path in ENTRIES:
        assert await open.get(path) == (log / path).read_bytes()
        with pytest.raises(Denied):
            await closed.get(path)
    for path in (*OTHERS, "tile/0/002"):
        with pytest.raises(NotFound):
            await open.get(path)
