"""Audit, as the gateway calls it: always the same proofs, files and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from postlaw.audit.v1 import audit_pb2
from postlaw_common.errors import NotFound

REPORT_ID = "rep_01m8b7khwte0h8fj6kpey0vyxq"


class FakeAudit:
    async def GetEvidence(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.EvidencePiece]:
        for piece in (b"PK", request.address.encode()):
            yield audit_pb2.EvidencePiece(data=piece, address_key=b"\1key")

    async def AnswerEvidence(self, request: Any, context: Any) -> audit_pb2.EvidenceAnswers:
        shown = audit_pb2.ShownMail(ours=False, reason=f"{len(request.mail)} octets") if request.HasField("mail") else None
        return audit_pb2.EvidenceAnswers(mail=shown, searched_below=7, address_key=b"\1key")

    async def ListEntries(self, request: Any, context: Any) -> audit_pb2.ListEntriesResponse:
        return audit_pb2.ListEntriesResponse(searched_below=7, address_key=b"\1key")

    async def CreateReport(self, request: Any, context: Any) -> audit_pb2.Report:
        return audit_pb2.Report(report_id=REPORT_ID, kind=request.kind, state=audit_pb2.Report.STATE_QUEUED, unwitnessed=True)

    async def GetReport(self, request: Any, context: Any) -> audit_pb2.Report:
        raise NotFound("There is no such report.")

    async def GetReportFile(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.ReportPiece]:
        if request.report_id != REPORT_ID:
            raise NotFound("There is no such report.")
        for piece in ("a,b\r\n", audit_pb2.GetReportFileRequest.Format.Name(request.format)):
            yield audit_pb2.ReportPiece(data=piece.encode())

    async def GetLogFile(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.LogFilePiece]:
        if request.path == "gone":
            raise NotFound("There is no such file.")
        for piece in ("first, ", "second of ", request.path):
            yield audit_pb2.LogFilePiece(data=piece.encode())

    async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
        return audit_pb2.Checkpoint(origin="postlaw", size=2**60, root_hash=b"\1" * 32)

    async def GetConsistencyProof(self, request: Any, context: Any) -> audit_pb2.ConsistencyProof:
        return audit_pb2.ConsistencyProof(first=request.first, second=request.second)

    async def GetEventProof(self, request: Any, context: Any) -> audit_pb2.EventProof:
        raise NotFound("There is no such event.")
