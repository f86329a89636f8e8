"""gRPC → reading the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.evidence.gathering import Evidence
from postlaw_audit.notes import Checkpoint, parse_note
from postlaw_audit.open_files import OpenFiles
from postlaw_audit.reader import LogReader
from postlaw_audit.reconciliations import Reconciliations
from postlaw_audit.reports.calls import ReportCalls
from postlaw_audit.search.calls import SearchCalls
from postlaw_audit.signing import Signer
from postlaw_audit.witness_policy import Policy, cosigned_by
from postlaw_common.caller import current
from postlaw_common.errors import NotFound
from postlaw_common.operator_acts import OperatorActs

PIECE = 1 << 20  # bytes


class AuditServicer:
    """A customer sees proofs of its own events only; checkpoints, consistency and the log's key are everybody's."""

    def __init__(
        self,
        reader: LogReader,
        signer: Signer,
        search: SearchCalls,
        evidence: Evidence,
        reports: ReportCalls,
        policy: Callable[[], Policy],
        files: OpenFiles,
        acts: OperatorActs,
        reconciliations: Reconciliations,
    ) -> None:
        self._reader = reader
        self._signer = signer
        self._search = search
        self._evidence = evidence
        self._reports = reports
        self._policy = policy
        self._files = files
        self._acts = acts
        self._reconciliations = reconciliations

    async def GetEventProof(self, request: audit.GetEventProofRequest, context: Any) -> audit.EventProof:
        found = await self._reader.prove_event(request.event_id)
        entry = audit.Entry.FromString(found.entry)
        caller = current()
        if caller.tenant_id and entry.tenant_id != caller.tenant_id:
            raise NotFound("The audit log holds no such event. An event is provable within a second of its happening.")
        proof = audit.EventProof(
            event_id=request.event_id,
            index=found.index,
            entry=found.entry,
            hashes=found.hashes,
            checkpoint=self._checkpoint(found.checkpoint, found.note),
            topic=entry.topic,
            partition=entry.partition,
            offset=entry.offset,
            key_notes=self._signer.successions.values(),
            more=[audit.EntryProof(index=one.index, entry=one.entry, hashes=one.hashes) for one in found.more],
        )
        proof.recorded_at.FromMicroseconds(entry.time_us)
        return proof

    async def ListEntries(self, request: audit.ListEntriesRequest, context: Any) -> audit.ListEntriesResponse:
        return await self._search.list_entries(request)

    async def GetEvidence(self, request: audit.GetEvidenceRequest, context: Any) -> AsyncGenerator[audit.EvidencePiece]:
        async with aclosing(self._evidence.get(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def AnswerEvidence(self, request: audit.GetEvidenceRequest, context: Any) -> audit.EvidenceAnswers:
        return await self._evidence.answers(request)

    async def CreateReport(self, request: audit.CreateReportRequest, context: Any) -> audit.Report:
        return await self._reports.create(request)

    async def GetReport(self, request: audit.GetReportRequest, context: Any) -> audit.Report:
        return await self._reports.get(request)

    async def ListReports(self, request: audit.ListReportsRequest, context: Any) -> audit.ListReportsResponse:
        return await self._reports.list(request)

    async def CancelReport(self, request: audit.GetReportRequest, context: Any) -> audit.Report:
        return await self._reports.cancel(request)

    async def GetReportFile(self, request: audit.GetReportFileRequest, context: Any) -> AsyncGenerator[audit.ReportPiece]:
        async with aclosing(self._reports.file(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def PutSubProcessor(self, request: audit.PutSubProcessorRequest, context: Any) -> audit.SubProcessor:
        return await self._reports.processors.put(request.sub_processor)

    async def RemoveSubProcessor(self, request: audit.RemoveSubProcessorRequest, context: Any) -> audit.SubProcessor:
        return await self._reports.processors.remove(request.name)

    async def ListSubProcessors(self, request: audit.ListSubProcessorsRequest, context: Any) -> audit.ListSubProcessorsResponse:
        return audit.ListSubProcessorsResponse(sub_processors=await self._reports.processors.all())

    async def RebuildIndex(self, request: audit.RebuildIndexRequest, context: Any) -> audit.RebuildIndexResponse:
        return await self._acts.noted("RebuildIndex", request, self._search.rebuild)

    async def ListReconciliations(self, request: audit.ListReconciliationsRequest, context: Any) -> audit.ListReconciliationsResponse:
        return await self._reconciliations.list()

    async def GetIndex(self, request: audit.GetIndexRequest, context: Any) -> audit.IndexStatus:
        return await self._search.status()

    async def GetConsistencyProof(self, request: audit.GetConsistencyProofRequest, context: Any) -> audit.ConsistencyProof:
        second, hashes, first_root, second_root = await self._reader.prove_consistency(request.first, request.second)
        return audit.ConsistencyProof(first=request.first, second=second, hashes=hashes, first_root=first_root, second_root=second_root)

    async def GetCheckpoint(self, request: audit.GetCheckpointRequest, context: Any) -> audit.Checkpoint:
        answer = self._checkpoint(*await self._reader.checkpoint())
        answer.verifier_key = self._signer.verifier()
        return answer

    async def GetLogFile(self, request: audit.GetLogFileRequest, context: Any) -> AsyncGenerator[audit.LogFilePiece]:
        data = await self._files.get(request.path)
        for at in range(0, max(1, len(data)), PIECE):
            yield audit.LogFilePiece(data=data[at : at + PIECE])

    def _checkpoint(self, checkpoint: Checkpoint, note: str) -> audit.Checkpoint:
        witnesses = sorted(cosigned_by(parse_note(note), self._policy()))
        return audit.Checkpoint(origin=checkpoint.origin, size=checkpoint.size, root_hash=checkpoint.root, note=note, witnesses=witnesses)
