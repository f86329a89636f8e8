"""Any damage to any file of the log is found, and the table of it in docs/audit.md is what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import VERIFIERS
from services.audit.tests.tampering import HOLDS, Made, cell, cells, said, table, written

NOTHING_LOST = {("witnessed", "missing"), ("witnessed", "rolled back"), ("log.vkey", "rolled back")}  # docs/audit.md says why


async def test_the_log_is_whole_before_it_is_damaged(tmp_path: Path) -> None:
    for key in (None, VERIFIERS[0]):
        assert await said(Made(tmp_path / str(key)), remembered=True, key=key) == HOLDS


@promise("A3")
@pytest.mark.parametrize(("path", "damage"), list(cells()))
async def test_any_damage_to_any_file_is_found_and_named(tmp_path: Path, path: str, damage: str) -> None:
    found = await cell(tmp_path, path, damage)
    assert (found == HOLDS) is ((path, damage) in NOTHING_LOST)


async def test_the_table_in_the_docs_is_what_a_run_finds() -> None:
    assert written() == await table(), "python -m services.audit.tests.tampering writes it anew"
