"""Making a report may be broken off and taken up again; whoever asked for one, and every customer's day, stands in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_audit.reports import daily, gathering
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.report import Report
from postlaw_common.errors import Conflict, KeyReused, Unavailable
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.audit.tests.reported import Customer, auditing, key_made, put


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Mesh]:
    monkeypatch.setattr(gathering, "A_PAGE", 3)
    async with auditing(tmp_path) as made:
        await put(made, [key_made(f"key_{n}", f"no {n}") for n in range(10)])
        yield made


class Interrupted:
    """Lets a report come to its third page, and no further until it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = asyncio.Event()
        self.may = asyncio.Event()
        self.pages: list[int] = []
        real = Gathering.next_page

        async def next_page(of: Gathering, report: Report) -> tuple[Report, bool]:
            if report.pages == 2 and not self.may.is_set():
                self.there.set()
                raise Unavailable("The store is away.")
            self.pages.append(report.pages)
            return await real(of, report)

        monkeypatch.setattr(Gathering, "next_page", next_page)
        monkeypatch.setattr("postlaw_audit.reports.running._EVERY_S", 0.05)


@promise("A2")
async def test_a_report_that_was_broken_off_goes_on_at_its_page_and_says_the_same(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = Customer(running)
    until = audit.CreateReportRequest()
    until.until.FromMicroseconds(time.time_ns() // 1000)
    whole = await ann.ended("api_keys", until=until.until, seed="x")
    broken = Interrupted(monkeypatch)
    report = await ann.asked("api_keys", until=until.until, seed="x")
    await broken.there.wait()
    state = await ann.stub.GetReport(audit.GetReportRequest(report_id=report.report_id))
    assert state.state == audit.Report.STATE_RUNNING and 0 < state.percent < 100 and state.events == 6
    broken.may.set()
    ended = await ann.at_its_end(report)
    assert broken.pages == [0, 1, 2, 3] and ended.events == 10
    assert (await ann.file(ended, "CSV")) == (await ann.file(whole, "CSV"))
    await left_nothing(running, report)


@promise("A2")
async def test_a_report_that_was_cancelled_is_made_no_further(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, broken = Customer(running), Interrupted(monkeypatch)
    report = await ann.asked("api_keys")
    await broken.there.wait()
    named = audit.GetReportRequest(report_id=report.report_id)
    assert (await ann.stub.CancelReport(named)).state == audit.Report.STATE_CANCELLED
    assert (await ann.stub.CancelReport(named)).state == audit.Report.STATE_CANCELLED
    broken.may.set()
    other = await ann.ended("api_keys")
    await left_nothing(running, report)
    assert (await ann.stub.GetReport(named)).state == audit.Report.STATE_CANCELLED
    with pytest.raises(Conflict):
        await ann.stub.CancelReport(audit.GetReportRequest(report_id=other.report_id))


async def left_nothing(running: Mesh, report: audit.Report) -> None:
    """Of the pages that it was made of."""
    async with patience():
        while [key async for key in running.running.backing.blobs.keys(f"reports/ten_1/{report.report_id}/rows/")]:
            await asyncio.sleep(0.02)


@promise("A1", "A2")
async def test_who_asked_for_which_report_at_which_checkpoint_stands_in_the_log(running: Mesh) -> None:
    ann = Customer(running)
    report = await ann.ended("api_keys", seed="x", idempotency_key="once")
    assert (await ann.asked("api_keys", seed="x", idempotency_key="once")).report_id == report.report_id
    with pytest.raises(KeyReused):
        await ann.asked("consents", seed="x", idempotency_key="once")
    async with patience():
        while len(told := await entries(ann, report.report_id)) < 2:
            await asyncio.sleep(0.05)
    done, asked = told
    assert (asked.actor, asked.sequence, done.actor, done.sequence) == ("api_key:key_test", 1, "service:audit", 2)
    assert '"size": 10' in asked.said["report"] and "STATE_DONE" in done.said["report"]


async def entries(customer: Customer, report_id: str) -> list[Any]:
    found = await customer.stub.ListEntries(audit.ListEntriesRequest(object=report_id, action="postlaw.audit.ReportChanged"))
    return list(found.entries)


@promise("A2", "A3")
async def test_each_customer_has_a_report_of_each_day_with_the_checkpoint_that_covers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "_EVERY_S", 0.05)
    later_us = 0
    async with auditing(tmp_path, now_us=lambda: time.time_ns() // 1000 + later_us) as running:
        made = identity.TenantCreated(tenant=identity.Tenant(tenant_id="ten_1"))
        await put(running, [("postlaw.identity.TenantCreated", made, "ten_1"), key_made("key_1", "shop")])
        ann = Customer(running)
        assert await days(ann) == []
        later_us = 2 * daily.DAY_US + daily.AFTER_US
        async with patience():
            while len(found := await days(ann)) < 2 or any(report.state != audit.Report.STATE_DONE for report in found):
                await asyncio.sleep(0.05)
        first, second = found
        assert (first.events, first.checkpoint.size >= 2, first.requested_by) == (2, True, "service:audit")
        assert first.until == second.since and first.unwitnessed
        await asyncio.sleep(0.2)
        assert [report.report_id for report in await days(ann)] == [report.report_id for report in found]


@promise("A2")
async def test_days_that_a_clock_ran_ahead_over_are_reported_again_as_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "_EVERY_S", 0.05)
    ahead_us = 0
    async with auditing(tmp_path, now_us=lambda: time.time_ns() // 1000 + ahead_us) as running:
        made = identity.TenantCreated(tenant=identity.Tenant(tenant_id="ten_1"))
        await put(running, [("postlaw.identity.TenantCreated", made, "ten_1")])
        ann = Customer(running)
        assert await days(ann) == []

        async def there_are(count: int) -> list[audit.Report]:
            async with patience():
                while len(found := await days(ann)) < count or any(report.state != audit.Report.STATE_DONE for report in found):
                    await asyncio.sleep(0.05)
            assert len(found) == count
            return found

        ahead_us = 4 * daily.DAY_US + daily.AFTER_US
        knew = {report.report_id: report.events for report in await there_are(4)}
        ahead_us = 0
        await asyncio.sleep(0.5)  # the clock is set right, and looked at
        assert {report.report_id for report in await days(ann)} == {*knew}
        await put(running, [key_made("key_1", "shop")])
        ahead_us = 2 * daily.DAY_US + daily.AFTER_US
        again = [report.events for report in await there_are(6) if report.report_id not in knew]
        assert max(again) > max(knew.values())  # the key is in it
        await asyncio.sleep(0.3)
        assert len(await days(ann)) == 6


async def days(customer: Customer) -> list[audit.Report]:
    return list((await customer.stub.ListReports(audit.ListReportsRequest())).reports)
