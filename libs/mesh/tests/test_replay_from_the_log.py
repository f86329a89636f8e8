"""Decisions that the bus no longer has are made again from the audit log, which is verified meanwhile."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_consent.decisions_made import DECISIONS
from postlaw_mesh.command import main
from postlaw_mesh.events_in_log import events_in_log

from .signing_up import acme
from .test_suppression_lists import ATTESTED, imported


def replayed(*options: str) -> Result:
    return CliRunner().invoke(main, ["decisions", "replay", "--json", *options])


@promise("G1", "A1")
def test_decisions_that_the_bus_has_let_go_are_replayed_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLAW_STATE", str(tmp_path))

    async def campaign() -> None:
        async with acme(tmp_path) as customer:
            await imported(customer, b"email\nann@example.com\nbob@example.com\n", list_id=customer.list_id, consent=ATTESTED)
            await customer.campaign()
            async with patience():
                while not [record async for page in events_in_log(DECISIONS.name) for record in page]:
                    await asyncio.sleep(0.05)

    asyncio.run(campaign())
    with closing(sqlite3.connect(tmp_path / "bus.db")) as bus, bus:
        partitions = bus.execute("SELECT partitions FROM topics WHERE name = ?", (DECISIONS.name,)).fetchone()[0]
    monkeypatch.setenv("POSTLAW_PARTITIONS", str(partitions))
    by_bus = json.loads(replayed().stdout)
    assert by_bus["decisions"] >= 2
    (tmp_path / "bus.db").unlink()
    assert json.loads(replayed().stdout)["decisions"] == 0
    by_log = replayed("--from-log")
    assert (by_log.exit_code, json.loads(by_log.stdout)) == (0, by_bus)
    for file in (tmp_path / "blobs").rglob("entries/**/*"):
        if file.is_file() and b"commercial" in file.read_bytes():
            file.chmod(0o600)
            file.write_bytes(file.read_bytes().replace(b"commercial", b"transactio"))
    refused = replayed("--from-log")
    assert refused.exit_code == 1
    assert "the log is not valid" in refused.stderr
    assert refused.stdout == ""
