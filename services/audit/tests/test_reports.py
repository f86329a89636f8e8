"""A report is made of all that the log has, says below which checkpoint, and anybody who has its files can check it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.reports.totals import drawn
from postlaw_audit.reports.verifying import ReportInvalid, verify_report
from postlaw_audit.search.open_span import OpenSpan
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import bundles
from postlaw_common.errors import Conflict, Invalid, NotFound
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.promises import promise
from services.audit.tests.reported import Customer, auditing, key_made, key_revoked, put


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    async with auditing(tmp_path) as made:
        yield made


FORMULA = "=cmd|' /C calc'!A0"
KEYS = [key_made("key_1", FORMULA), key_made("key_2", "<b>shop</b>"), key_made("key_9", "other", "ten_2"), key_revoked("key_1", FORMULA)]


@promise("A2")
async def test_a_report_is_made_signed_and_checked_with_its_files_alone(running: Mesh) -> None:
    await put(running, KEYS)
    ann = Customer(running)
    report = await ann.ended("api_keys", seed="7", sample_size=1)
    assert (report.state, report.events, report.rows, report.unwitnessed) == (audit.Report.STATE_DONE, 3, 2, True)
    assert dict(report.totals) == {
        "rows": 2, "events": 3, "entries that could not be decoded": 0, "state active": 1, "state revoked": 1,
        "events counted again in the log": 3,
    }  # fmt: skip
    files = await ann.files(report)
    page, table = files["report.html"].decode(), files["report.csv"].decode()
    assert "&lt;b&gt;shop&lt;&#x2f;b&gt;" in page and "<b>" not in page and "<script" not in page
    assert "Unwitnessed" in page and "<svg" in page and report.query in page.replace("&#x2f;", "/")
    assert "'=cmd|" in table and "key_9" not in table
    assert "No Chromium" in report.printed and report.links == [
        f"/v1/reports/{report.report_id}/{kind}" for kind in ("csv", "html", "json")
    ]
    log = bundles(BlobFiles(running.running.backing.blobs), report.checkpoint.size)
    found = await verify_report(files, await ann.keys(), log=log)
    assert (found.rows, found.made_again, found.witnesses) == (2, True, [])


@promise("A2", "A3")
async def test_a_row_that_was_dropped_is_noticed_wherever_it_was(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(running, KEYS)
    ann = Customer(running)
    report = await ann.ended("api_keys")
    files, keys = await ann.files(report), await ann.keys()
    told = json.loads(files["report.json"])
    told["rows"].pop()
    for damage in ({"report.json": json.dumps(told).encode()}, {"report.csv": files["report.csv"].rsplit(b"\r\n", 2)[0] + b"\r\n"}):
        with pytest.raises(ReportInvalid, match="is not the file that was signed"):
            await verify_report(files | damage, keys)


@promise("A2", "S8")
async def test_no_report_is_made_of_a_population_that_lacks_one(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(running, KEYS)
    ann, found = Customer(running), OpenSpan.found

    def without_one(span: OpenSpan, conditions: Sequence[Sequence[bytes]], end: int) -> Iterator[int]:
        return (entries & ~0b10 for entries in found(span, conditions, end))

    monkeypatch.setattr(OpenSpan, "found", without_one)
    lost = await ann.ended("api_keys")
    assert lost.state == audit.Report.STATE_FAILED and "found 2 events, the lines say 2, the log itself holds 3" in lost.failure
    with pytest.raises(Conflict):
        await ann.file(lost, "CSV")


@promise("A2")
async def test_a_log_that_says_otherwise_refutes_a_report(running: Mesh) -> None:
    await put(running, KEYS)
    ann = Customer(running)
    report = await ann.ended("api_keys")
    files, keys, blobs = await ann.files(report), await ann.keys(), BlobFiles(running.running.backing.blobs)

    async def another() -> AsyncGenerator[list[bytes]]:
        async for entries in bundles(blobs, report.checkpoint.size):
            yield entries[::-1]

    with pytest.raises(ReportInvalid, match="do not lead to the report's checkpoint"):
        await verify_report(files, keys, log=another())


@promise("A2")
async def test_the_same_seed_below_the_same_checkpoint_draws_the_same_sample(running: Mesh) -> None:
    await put(running, [key_made(f"key_{n}", f"no {n}") for n in range(40)])
    ann = Customer(running)
    told = [json.loads((await ann.files(await ann.ended("api_keys", seed=seed, sample_size=5)))["report.json"]) for seed in ("a", "a", "b")]
    first, again, other = (one["sample"]["numbers"] for one in told)
    assert first == again == list(drawn("a", 40, 5)) != other and len(first) == 5


@promise("A2")
async def test_of_another_customers_report_nothing_is_there(running: Mesh) -> None:
    await put(running, KEYS)
    report, ben = await Customer(running).ended("api_keys"), Customer(running, "ten_2")
    for asked in (ben.stub.GetReport(audit.GetReportRequest(report_id=report.report_id)), ben.file(report, "CSV")):
        with pytest.raises(NotFound):
            await asked
    assert [one.report_id for one in (await ben.stub.ListReports(audit.ListReportsRequest())).reports] == []
    assert (await ben.ended("api_keys")).rows == 1


async def test_what_cannot_be_asked_is_refused_by_field(running: Mesh) -> None:
    await put(running, KEYS)
    asked = audit.CreateReportRequest(kind=audit.Report.KIND_API_KEYS, sample_size=201)
    asked.since.FromSeconds(2_000_000_000)
    with pytest.raises(Invalid) as refused:
        await Customer(running).stub.CreateReport(asked)
    assert [field.field for field in refused.value.fields] == ["since", "sample_size"]
