"""Compliance reports as REST has them: asked for by one scope, taken by another, and whoever took one is told to the log."""

from __future__ import annotations

from typing import Any

from postlaw_common.testing.promises import promise
from services.gateway.tests.played.audit import REPORT_ID
from services.gateway.tests.test_who_looked import reads

REPORTS = "/v1/reports"


@promise("A2")
async def test_a_report_is_asked_for_and_its_files_are_taken_each_in_its_own_type(door: Any) -> None:
    asked = await door.http.post(REPORTS, json={"kind": "api_keys"})
    assert (asked.status_code, asked.headers["location"]) == (202, f"{REPORTS}/{REPORT_ID}"), asked.text
    assert (asked.json()["kind"], asked.json()["unwitnessed"]) == ("api_keys", True)
    for format, type in (("csv", "text/csv; charset=utf-8"), ("html", "text/html; charset=utf-8"), ("pdf", "application/pdf")):
        taken = await door.http.get(f"{REPORTS}/{REPORT_ID}/{format}")
        assert (taken.status_code, taken.text) == (200, f"a,b\r\nFORMAT_{format.upper()}")
        assert (taken.headers["content-type"], taken.headers["content-disposition"]) == (type, f'attachment; filename="report.{format}"')
    assert {(read.operation, read.object_id) for _, read in await reads(door)} == {("audit.GetReportFile", REPORT_ID)}


@promise("A2", "S1")
async def test_without_its_scope_nobody_asks_for_a_report_or_takes_one(door: Any) -> None:
    reads_alone, writes_alone = door.key(scopes=("audit:read", "reports:read")), door.key(scopes=("audit:read", "reports:write"))
    assert (await door.http.post(REPORTS, json={"kind": "access"}, headers=reads_alone)).status_code == 403
    assert (await door.http.get(f"{REPORTS}/{REPORT_ID}/csv", headers=writes_alone)).status_code == 403


@promise("A1", "A2")
async def test_an_id_that_is_another_customers_is_not_there_and_told_as_prying(door: Any) -> None:
    other = f"rep_{'0' * 26}"
    for path in (other, f"{other}/json"):
        assert (await door.http.get(f"{REPORTS}/{path}")).status_code == 404
    assert {(event.kind, event.object_id) for event in await door.security_events(2)} == {("foreign_id", other)}
