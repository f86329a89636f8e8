"""Reconciliations' protobuf: the answer of a service, and the events that tell the log."""

from __future__ import annotations

import json
from typing import Final

from google.protobuf.message import Message

from postlaw.audit.v1 import audit_pb2
from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.reconciling import Difference
from postlaw_common.store import Document

RESULTS: Final = Topic("postlaw.reconciliation.results.v1")
DIFFERED: Final = "postlaw.reconciliation.ReconciliationDiffered"
FINISHED: Final = "postlaw.reconciliation.ReconciliationFinished"


def reconciliation(service: str, document: Document) -> audit_pb2.Reconciliation:
    """With what was found."""
    said = audit_pb2.Reconciliation(
        service=service,
        check=document["_id"],
        run_id=document["run_id"],
        looked_at=document["looked_at"],
        differences=document["differences"],
        found=[audit_pb2.ReconciliationDifference(**one) for one in json.loads(document["found"])],
    )
    said.began_at.FromMicroseconds(document["began_us"])
    said.finished_at.FromMicroseconds(document["finished_us"])
    return said


def differed(service: str, check: str, run_id: str, difference: Difference) -> tuple[str, str, str, Message]:
    """See result_record."""
    said = audit_pb2.ReconciliationDifference(tenant_id=difference.tenant_id, what=difference.what, ids=difference.ids)
    message = audit_pb2.ReconciliationDiffered(service=service, check=check, run_id=run_id, difference=said)
    return DIFFERED, f"{service}/{check}", difference.tenant_id, message


def finished(service: str, document: Document) -> tuple[str, str, str, Message]:
    """See result_record."""
    said = reconciliation(service, document)
    said.ClearField("found")
    return FINISHED, f"{service}/{said.check}", "", audit_pb2.ReconciliationFinished(reconciliation=said)


def result_record(bus: Bus, type: str, subject: str, tenant_id: str, message: Message) -> Record:
    """`subject`: service/check, so that what a run finds stays in order. A difference is its customer's, a run nobody's."""
    event = new_event(type, message.SerializeToString(), source=subject.partition("/")[0], subject=subject, sequence=0, tenant_id=tenant_id)
    return to_record(event, RESULTS.name, partition_of(subject, bus.partitions))
