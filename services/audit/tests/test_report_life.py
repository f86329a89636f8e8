"""Reports go when their life ends, and the log keeps what they were; keys of the log change, and reports of before and after verify."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.key_chain import key_chain
from postlaw_audit.reports import expiring
from postlaw_audit.reports.customers import DAY_US
from postlaw_audit.reports.manifest import digest
from postlaw_audit.reports.verifying import ReportInvalid, verify_report
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import bundles
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Conflict, NotFound
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.audit.tests.reported import Customer, auditing, key_made, put


class Clock:
    def __init__(self) -> None:
        self.later_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.later_us


async def files_of(running: Mesh, report: audit.Report) -> list[str]:
    return [key async for key in running.running.backing.blobs.keys(f"reports/ten_1/{report.report_id}/")]


async def gone(ann: Customer, report: audit.Report) -> None:
    async with patience():
        while report.report_id in [one.report_id for one in (await ann.stub.ListReports(audit.ListReportsRequest())).reports]:
            await asyncio.sleep(0.05)


@promise("A2")
async def test_a_report_past_its_life_loses_its_files_and_the_log_keeps_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "EVERY_S", 0.05)
    clock = Clock()
    async with auditing(tmp_path, now_us=clock, reports_days=3) as running:
        await put(running, [key_made("key_1", "shop")])
        ann = Customer(running)
        old = await ann.ended("api_keys")
        assert old.kept_until.ToMicroseconds() == old.requested_at.ToMicroseconds() + 3 * DAY_US
        digests = [f"sha256 {digest(data)} {name}" for name, data in (await ann.files(old)).items() if name != "report.note"]
        clock.later_us = 2 * DAY_US
        young = await ann.ended("api_keys")
        assert len(await files_of(running, old)) == 3
        clock.later_us = 3 * DAY_US + 1_000_000
        await gone(ann, old)
        assert await files_of(running, old) == [] and len(await files_of(running, young)) == 3
        for asked in (ann.stub.GetReport(audit.GetReportRequest(report_id=old.report_id)), ann.file(old, "CSV")):
            with pytest.raises(NotFound):
                await asked
        assert (await ann.stub.GetReport(audit.GetReportRequest(report_id=young.report_id))).state == audit.Report.STATE_DONE
        of_it = audit.ListEntriesRequest(object=old.report_id, action="postlaw.audit.ReportChanged")
        async with patience():
            while len(told := (await ann.stub.ListEntries(of_it)).entries) < 3:
                await asyncio.sleep(0.05)
        expired = told[0]
        assert (expired.actor, expired.sequence) == ("service:audit", 3) and "STATE_EXPIRED" in expired.said["report"]
        assert len(digests) == 3 and all(line in expired.said["report"] for line in digests)


@promise("A2")
async def test_a_file_that_somebody_locked_keeps_the_report_expired_until_the_lock_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "EVERY_S", 0.05)
    clock = Clock()
    async with auditing(tmp_path, now_us=clock, reports_days=1) as running:
        await put(running, [key_made("key_1", "shop")])
        ann = Customer(running)
        report = await ann.ended("api_keys")
        locked = f"reports/ten_1/{report.report_id}/report.csv"
        until = datetime.now(UTC) + timedelta(seconds=2)
        await running.running.backing.blobs.put(locked, b"locked", retain_until=until)
        clock.later_us = DAY_US + 1_000_000
        async with patience():
            while (found := await ann.stub.GetReport(audit.GetReportRequest(report_id=report.report_id))).state == report.state:
                await asyncio.sleep(0.02)
        assert (found.state, list(found.links), found.note) == (audit.Report.STATE_EXPIRED, [], report.note)
        with pytest.raises(Conflict, match="expired"):
            await ann.file(report, "JSON")
        await gone(ann, report)
        assert datetime.now(UTC) >= until and await files_of(running, report) == []


@promise("A1", "A2")
async def test_while_the_bus_is_away_a_report_is_not_forgotten_before_the_log_has_heard_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "EVERY_S", 0.05)
    clock = Clock()
    async with auditing(tmp_path, now_us=clock, reports_days=1) as running:
        await put(running, [key_made("key_1", "shop")])
        ann = Customer(running)
        report = await ann.ended("api_keys")
        bus = running.running.backing.bus
        with monkeypatch.context() as outage:

            async def away(*_: object) -> list[int]:
                raise BusUnavailable("away")

            outage.setattr(bus, "publish", away)
            clock.later_us = DAY_US + 1_000_000
            async with patience():
                while await files_of(running, report):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)  # several looks
            found = await ann.stub.GetReport(audit.GetReportRequest(report_id=report.report_id))
            assert found.state == audit.Report.STATE_EXPIRED
        await gone(ann, report)
        of_it = audit.ListEntriesRequest(object=report.report_id, action="postlaw.audit.ReportChanged")
        async with patience():
            while "STATE_EXPIRED" not in str((await ann.stub.ListEntries(of_it)).entries):
                await asyncio.sleep(0.05)


@promise("A2", "A3")
async def test_a_report_verifies_across_a_change_of_the_logs_key_as_a_receipt_does(tmp_path: Path) -> None:
    async with auditing(tmp_path) as running:
        await put(running, [key_made("key_1", "shop")])
        ann = Customer(running)
        first = await ann.keys()
        before = await ann.files(await ann.ended("api_keys"))
    async with auditing(tmp_path, signing_keys="2") as running:
        await put(running, [key_made("key_2", "shop")])
        ann, files = Customer(running), BlobFiles(running.running.backing.blobs)
        second = await ann.keys()
        made = await ann.ended("api_keys")
        after = await ann.files(made)
        assert second.trusted != first.trusted
        assert (await verify_report(before, first)).rows == 1
        with pytest.raises(ReportInvalid, match="give the key of its day, or --log"):
            await verify_report(before, second)
        beside_the_log = await key_chain(files, second.trusted[0])
        for report in (before, after):
            assert (await verify_report(report, beside_the_log, log=bundles(files, made.checkpoint.size))).made_again
        for known in (first, second):  # by the notes in the report itself
            assert (await verify_report(after, known)).rows == 2
