"""A customer's webhook is told of each daily report, with the checkpoint, and of an earlier day first."""

from __future__ import annotations

import json

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_common.bus import Received
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.promises import promise
from postlaw_sending.webhooks.messages import REPORT_READY, REPORTS, Message, message_of

R = audit.Report


def told(id: str, kind: R.Kind.ValueType, state: R.State.ValueType = R.STATE_DONE) -> Message | None:
    report = R(
        report_id=id, kind=kind, state=state, note="postlaw report/1\n", links=[f"/v1/reports/{id}/json"], requested_by="service:audit"
    )
    report.checkpoint.note = "log.example\n7\n"
    report.since.FromSeconds(86_400)
    report.until.FromSeconds(2 * 86_400)
    changed = audit.ReportChanged(tenant_id="ten_1", report=report).SerializeToString()
    event = new_event("postlaw.audit.ReportChanged", changed, source="audit", subject=id, sequence=2, tenant_id="ten_1")
    record = to_record(event, REPORTS, 0)
    return message_of(Received(record.topic, 0, 0, record.value, record.key, record.headers, 1))


@promise("A3", "X7")
def test_a_daily_report_is_told_with_its_checkpoint_in_the_order_of_days_and_once_it_is_done_alone() -> None:
    first, second, other = told("rep_1", R.KIND_DAILY), told("rep_2", R.KIND_DAILY), told("rep_3", R.KIND_ACCESS)
    assert first is not None and second is not None and other is not None
    assert first.about == second.about != other.about, "what is about the same comes in order"
    assert first.type == REPORT_READY and json.loads(first.body)["data"] == {
        "report_id": "rep_1", "kind": "daily", "since": "1970-01-02T00:00:00Z", "until": "1970-01-03T00:00:00Z",
        "checkpoint": "log.example\n7\n", "witnesses": [], "note": "postlaw report/1\n", "links": ["/v1/reports/rep_1/json"],
    }  # fmt: skip
    for state in (R.STATE_QUEUED, R.STATE_FAILED, R.STATE_CANCELLED, R.STATE_EXPIRED):
        assert told("rep_1", R.KIND_DAILY, state) is None
