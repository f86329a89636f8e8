"""Each kind of report against a population that is known: its lines, its control totals, and all of it made again from the log."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_audit.reports.kinds import KINDS
from postlaw_audit.reports.verifying import ReportInvalid, Verified, verify_report
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import bundles
from postlaw_common.errors import NotFound
from postlaw_common.ids import new_id
from postlaw_common.testing.browser import chromium
from postlaw_common.testing.mesh import Mesh
from postlaw_common.testing.promises import promise
from services.audit.tests.reported import Customer, Happened, auditing, key_made, key_revoked, put, reaches

ANN, BEN = b"\1" + b"a" * 32, b"\1" + b"b" * 32
EVT = [new_id("evt") for _ in range(6)]
GIVEN, WITHDRAWN = consent.ConsentEvent.KIND_GIVEN, consent.ConsentEvent.KIND_WITHDRAWN


def act(id: str, kind: Any, who: bytes, tenant_id: str = "ten_1") -> Happened:
    event = consent.ConsentEvent(event_id=id, kind=kind, address_key=who, version=1, route=consent.ROUTE_PAGE)
    event.scope.everything = True
    event.recorded_at.FromSeconds(1_000)
    return "postlaw.consent.ConsentEvent", event, tenant_id


def answer(id: str, took_us: int, *, repeated: bool = False) -> Happened:
    told = consent.Withdrawal(event_id=id, outcome=consent.OUTCOME_STOPPED, already_withdrawn=repeated)
    told.scope.list_id = "lst_1"
    told.withdrawn_at.FromMicroseconds(1_000_000_000)
    told.answered_at.FromMicroseconds(1_000_000_000 + took_us)
    return "postlaw.consent.WithdrawalAnswered", consent.WithdrawalAnswered(address_key=ANN, withdrawal=told), "ten_1"


def read(*people: str) -> Happened:
    return "postlaw.gateway.PersonalDataRead", audit.PersonalDataRead(operation="subscribers.Get", subscriber_ids=people), "ten_1"


HAPPENED = [
    act(EVT[1], GIVEN, ANN), act(EVT[2], GIVEN, BEN), act(EVT[3], WITHDRAWN, ANN), act(EVT[4], GIVEN, ANN, "ten_2"),
    answer(EVT[3], 40_000), answer(EVT[5], 1_999_001), answer(EVT[3], 86_400_000_000, repeated=True), read("sub_a", "sub_b"),
    read("sub_a"), ("postlaw.gateway.AccessRefused", audit.AccessRefused(kind="foreign_id"), "ten_1"), key_made("key_1", "shop"),
    key_revoked("key_1", "shop"), act(EVT[5], WITHDRAWN, BEN),
]  # fmt: skip


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    async with auditing(tmp_path) as made:
        yield made


async def checked(running: Mesh, report: audit.Report, files: dict[str, bytes]) -> Verified:
    log = bundles(BlobFiles(running.running.backing.blobs), report.checkpoint.size)
    return await verify_report(files, await Customer(running).keys(), log=log)


def lines(files: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files["report.csv"].decode(), newline="")))


@promise("A2")
async def test_every_kind_accounts_for_each_event_of_its_population_and_the_log_makes_it_again(running: Mesh) -> None:
    await put(running, HAPPENED)
    operator: Any = AuditServiceStub(running.channel("audit", as_service="operator"))
    for location in ("DE", "FR", "FR"):  # what is so already is no change
        one = audit.SubProcessor(name="Example Cloud", purpose="hosting", location=location)
        await operator.PutSubProcessor(audit.PutSubProcessorRequest(sub_processor=one))
    await operator.RemoveSubProcessor(audit.RemoveSubProcessorRequest(name="Example Cloud"))
    with pytest.raises(NotFound):
        await operator.RemoveSubProcessor(audit.RemoveSubProcessorRequest(name="Example Cloud"))
    await reaches(running, len(HAPPENED) + 3)
    ann = Customer(running)
    found: dict[str, tuple[audit.Report, dict[str, bytes]]] = {}
    for kind in KINDS:
        report = await ann.ended(kind)
        assert report.state == audit.Report.STATE_DONE, report.failure
        found[kind] = report, await ann.files(report)
        assert (await checked(running, *found[kind])).rows == report.rows
    events = {kind: report.totals["events"] for kind, (report, _) in found.items()}
    # By the time that the later ones are asked for, the log also has who asked for the reports before them.
    assert {kind: events[kind] for kind in events if KINDS[kind].types} == {
        "access": 5, "api_keys": 2, "consents": 4, "opt_outs": 3, "sub_processors": 3,
    }  # fmt: skip
    assert events["activity"] == 12 <= events["daily"]
    (line,) = lines(found["access"][1])
    assert (line["shown"], line["people_shown"], line["refused"], line["credentials_and_exports"], line["events"]) == (
        "2",
        "3",
        "1",
        "2",
        "5",
    )
    (line,) = lines(found["sub_processors"][1])
    assert (line["location"], line["state"], line["events"]) == ("FR", "removed", "3")
    assert [(line["act"], line["person"], line["scope"]) for line in lines(found["consents"][1])] == [
        ("given", ANN.hex(), "everything"), ("given", BEN.hex(), "everything"), ("withdrawn", ANN.hex(), "everything"),
        ("withdrawn", BEN.hex(), "everything"),
    ]  # fmt: skip
    by_type = {line["type"]: line["events"] for line in lines(found["activity"][1])}
    assert by_type["postlaw.consent.ConsentEvent"] == "4" and sum(map(int, by_type.values())) == 12


class Unreadable:
    """Bytes that are no message of any type."""

    def SerializeToString(self) -> bytes:
        return b"\xff\xff"


@promise("A2")
async def test_an_event_that_cannot_be_decoded_is_counted_and_named_and_fails_no_report(running: Mesh) -> None:
    later = consent.ConsentEvent(event_id=EVT[0], route=999)  # type: ignore[arg-type] # a release that this one does not know
    broken = [("postlaw.consent.ConsentEvent", later, "ten_1")]
    broken += [(type, Unreadable(), "ten_1") for kind in KINDS.values() for type in kind.types if not kind.of_platform]
    platform = [("postlaw.audit.SubProcessorChanged", Unreadable(), "")]
    await put(running, [*HAPPENED, *broken, *platform])
    ann, first = Customer(running), len(HAPPENED)
    unread = {"consents": [first], "sub_processors": [first + len(broken)]}
    for index, (type, _, _) in enumerate(broken[1:], first + 1):
        for kind in KINDS.values():
            if type in kind.types and (kind.name != "access" or type.startswith("postlaw.gateway")):  # which reads no others' bytes
                unread.setdefault(kind.name, []).append(index)
    for kind, indexes in unread.items():
        report = await ann.ended(kind)
        assert report.state == audit.Report.STATE_DONE, report.failure
        assert report.totals["entries that could not be decoded"] == len(indexes)
        assert report.totals["events"] == report.totals["events counted again in the log"] == report.events
        files = await ann.files(report)
        assert json.loads(files["report.json"])["undecodable"] == indexes
        assert f"are in no line: {', '.join(map(str, indexes))}." in files["report.html"].decode()
        await checked(running, report, files)
    assert (await ann.ended("activity")).totals["entries that could not be decoded"] == 0


@promise("A2", "A3")
async def test_a_log_in_which_another_entry_cannot_be_decoded_refutes_a_report(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def another(row: Any, event: Any) -> Any:
        return event.index + 1 if row is None else row

    monkeypatch.setattr("postlaw_audit.reports.gathering._or_index", another)
    await put(running, [key_made("key_1", "shop"), ("postlaw.identity.ApiKeyCreated", Unreadable(), "ten_1")])
    ann = Customer(running)
    report = await ann.ended("api_keys")
    with pytest.raises(ReportInvalid, match="1 entries of the log cannot be decoded, the report names 1, or others"):
        await checked(running, report, await ann.files(report))


@promise("A2", "M5")
async def test_the_worst_opt_out_is_proved_and_a_repeated_one_is_no_latency(running: Mesh) -> None:
    await put(running, HAPPENED)
    ann = Customer(running)
    report = await ann.ended("opt_outs")
    totals = {name: report.totals[f"latency_ms {name}"] for name in ("measured", "p50", "p99", "worst")}
    assert totals == {"measured": 2, "p50": 40, "p99": 2000, "worst": 2000}
    assert (report.totals["repeated yes"], report.totals["outcome stopped"]) == (1, 3)
    files = await ann.files(report)
    told = json.loads(files["report.json"])
    assert [(proof["what"], proof["index"]) for proof in told["proofs"]] == [("the opt-out", 12), ("the answer", 5)]
    assert "2000 ms" in files["report.html"].decode() and "entry 5" in files["report.html"].decode()
    await checked(running, report, files)


@promise("A2")
async def test_a_worst_case_without_its_proof_is_not_verified(running: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr("postlaw_audit.reports.making.Making._proofs", none)
    await put(running, HAPPENED)
    ann = Customer(running)
    report = await ann.ended("opt_outs")
    with pytest.raises(ReportInvalid, match="the worst case has no proof"):
        await checked(running, report, await ann.files(report))


@promise("A2")
async def test_a_report_is_printed_where_there_is_a_chromium_and_says_so_where_there_is_none(tmp_path: Path) -> None:
    async with auditing(tmp_path, chromium=chromium() or "none") as running:
        await put(running, HAPPENED)
        ann = Customer(running)
        report = await ann.ended("opt_outs")
        if chromium():
            assert report.printed == "" and (await ann.file(report, "PDF")).startswith(b"%PDF-")
        else:
            assert "No Chromium" in report.printed
            with pytest.raises(NotFound):
                await ann.file(report, "PDF")
