"""A report has all that its range has, or is not made; whoever checks one hears where it was made too early, or its note says otherwise."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.publishing import WITNESSED
from postlaw_audit.reader import LogReader
from postlaw_audit.reports import covering, making
from postlaw_audit.reports.calls import MOST_OPEN
from postlaw_audit.reports.covering import Covering
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.report import Report
from postlaw_audit.reports.verifying import ReportInvalid, verify_report
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import bundles
from postlaw_common.errors import RateLimited, Unavailable
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import Installation, running
from services.audit.tests.logs_made import POLICY, cosigned
from services.audit.tests.reported import Customer, auditing, key_made, put


def now_us() -> int:
    return time.time_ns() // 1000


@promise("A2", "A3")
async def test_while_the_log_is_behind_nothing_is_reported_of_what_it_lacks(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covering, "WITHIN_S", 0.3)
    async with running(there.writer("a")):
        await there.publish(8)
        await there.reaches(8)
    before = now_us()
    await there.publish(8)
    asked = Covering(there.bus, there.states("reading").read, there.reader)
    await asked.covered(before)
    with pytest.raises(Unavailable, match="has not everything yet"):
        await asked.covered(now_us())
    monkeypatch.setattr(covering, "WITHIN_S", 60.0)
    async with running(there.writer("b")):
        await asked.covered(now_us())
        assert await there.size() == 16


@promise("A2")
async def test_what_happened_just_before_a_report_was_asked_for_is_in_it(tmp_path: Path) -> None:
    async with auditing(tmp_path) as made:
        await put(made, [key_made("key_0", "shop")])
        ann, bus = Customer(made), made.running.backing.bus
        for number in range(1, 4):
            type, said, tenant_id = key_made(f"key_{number}", "shop")
            event = new_event(type, said.SerializeToString(), source="x", subject="s", sequence=1, tenant_id=tenant_id)
            await bus.publish([to_record(event, "postlaw.identity.events.v1", number % 2)])
            assert (await ann.ended("api_keys")).rows == number + 1


@promise("A2", "A3")
async def test_a_witnessed_checkpoint_that_lacks_an_event_of_the_range_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(POLICY + "quorum one\n")
    async with auditing(tmp_path, witnesses=tmp_path / "policy") as made:
        ann, blobs = Customer(made), made.running.backing.blobs
        await put(made, [key_made("key_1", "shop")])
        for id in ("key_2", "key_3"):
            note = (await ann.stub.GetCheckpoint(audit.GetCheckpointRequest())).note
            await blobs.put(WITNESSED, cosigned(note, 0, time=now_us() // 1_000_000 + 60).encode())  # cosigned later than it was signed
            until = audit.CreateReportRequest()
            until.until.FromMicroseconds(now_us())
            witnessed = await ann.ended("api_keys", until=until.until)
            await put(made, [key_made(id, "shop")])
            late = await ann.ended("api_keys")
            assert (witnessed.unwitnessed, late.unwitnessed) == (False, True)
            assert (witnessed.rows + 1, witnessed.state) == (late.rows, audit.Report.STATE_DONE)


async def whole_log(made: Mesh) -> Any:
    size = (await Customer(made).stub.GetCheckpoint(audit.GetCheckpointRequest())).size
    return bundles(BlobFiles(made.running.backing.blobs), size)


@promise("A2", "A3")
async def test_a_report_below_an_earlier_checkpoint_than_its_range_ends_is_refuted_by_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with auditing(tmp_path) as made:
        ann = Customer(made)
        await put(made, [key_made("key_1", "shop")])
        honest = await ann.ended("api_keys")
        earlier = await LogReader(made.running.backing.blobs, None).checkpoint()  # type: ignore[arg-type]
        await put(made, [key_made("key_2", "shop")])
        with monkeypatch.context() as dishonest:

            async def old(_: LogReader) -> Any:
                return earlier

            async def yes(*_: Any) -> bool:
                return True

            dishonest.setattr(Covering, "_is", yes)
            dishonest.setattr(LogReader, "checkpoint", old)
            short = await ann.asked("api_keys")
        short = await ann.at_its_end(short)
        assert (short.state, short.rows, short.checkpoint.size) == (audit.Report.STATE_DONE, 1, earlier[0].size)
        assert (await ann.ended("api_keys")).rows == 2
        monkeypatch.setattr("postlaw_audit.reports.verifying.CLOCKS_US", 0)
        assert (await verify_report(await ann.files(honest), await ann.keys(), log=await whole_log(made))).made_again
        with pytest.raises(ReportInvalid, match=r"1 more events of its range above the report's checkpoint"):
            await verify_report(await ann.files(short), await ann.keys(), log=await whole_log(made))


@promise("A2", "A3")
@pytest.mark.parametrize("says", ["customer ten_2", "query entries below 9, all of them", "total 7 events", "witnessed by everybody"])
async def test_a_note_that_tells_another_story_than_its_report_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    real = making.manifest

    def otherwise(*told: Any) -> str:
        start = {"total": "total 1 events", "witnessed": "unwitnessed"}.get(word := says.split()[0], word)
        lines = real(*told).split("\n")
        assert any(line.startswith(start) for line in lines)
        return "\n".join(says if line.startswith(start) else line for line in lines)

    monkeypatch.setattr(making, "manifest", otherwise)
    async with auditing(tmp_path) as made:
        await put(made, [key_made("key_1", "shop")])
        ann = Customer(made)
        report = await ann.ended("api_keys")
        with pytest.raises(ReportInvalid, match="the note says something else"):
            await verify_report(await ann.files(report), await ann.keys())


@promise("A2")
async def test_a_report_whose_part_of_the_log_cannot_be_read_holds_up_no_other_ones_and_nobody_asks_for_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Gathering.next_page

    async def next_page(of: Gathering, report: Report) -> tuple[Report, bool]:
        if report.tenant_id == "ten_1":
            raise Unavailable("The audit log's tile/0/000 cannot be read now.")
        return await real(of, report)

    monkeypatch.setattr(Gathering, "next_page", next_page)
    async with auditing(tmp_path) as made:
        await put(made, [key_made("key_1", "shop"), key_made("key_2", "shop", "ten_2")])
        ann, ben = Customer(made), Customer(made, "ten_2")
        waiting = [await ann.asked("api_keys") for _ in range(MOST_OPEN)]
        async with asyncio.timeout(60):
            assert (await ben.ended("api_keys")).state == audit.Report.STATE_DONE
        with pytest.raises(RateLimited):
            await ann.asked("api_keys")
        await ann.stub.CancelReport(audit.GetReportRequest(report_id=waiting[0].report_id))
        await ann.asked("api_keys")
