"""gRPC to use case, of exports of the suppression list."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_consent.domain.event import Actor
from postlaw_consent.domain.suppression_export import State, SuppressionExport
from postlaw_consent.use_cases.export_suppressions import ExportSuppressions
from postlaw_consent.wire import timestamp

_STATES: dict[State, pb.SuppressionExport.State.ValueType] = {
    "pending": pb.SuppressionExport.STATE_PENDING,
    "approved": pb.SuppressionExport.STATE_APPROVED,
    "taken": pb.SuppressionExport.STATE_TAKEN,
    "lapsed": pb.SuppressionExport.STATE_LAPSED,
}


class ExportCalls:
    def __init__(self, exports: ExportSuppressions, now_us: Callable[[], int]) -> None:
        self._exports = exports
        self._now_us = now_us

    async def RequestSuppressionExport(self, request: pb.RequestSuppressionExportRequest, context: Any) -> pb.SuppressionExport:
        tenant_id, actor = _who()
        return self._told(await self._exports.request(tenant_id, actor, request.purpose, request.idempotency_key))

    async def GetSuppressionExport(self, request: pb.SuppressionExportRequest, context: Any) -> pb.SuppressionExport:
        return self._told(await self._exports.get(current().tenant_id, request.suppression_export_id))

    async def ApproveSuppressionExport(self, request: pb.SuppressionExportRequest, context: Any) -> pb.SuppressionExport:
        return self._told(await self._exports.approve(*_who(), request.suppression_export_id))

    async def TakeSuppressionExport(self, request: pb.SuppressionExportRequest, context: Any) -> AsyncGenerator[pb.SuppressionCsv]:
        async with aclosing(self._exports.take(*_who(), request.suppression_export_id)) as parts:
            async for data in parts:
                yield pb.SuppressionCsv(data=data)

    def _told(self, export: SuppressionExport) -> pb.SuppressionExport:
        return export_to_wire(export, self._now_us())


def export_to_wire(export: SuppressionExport, now_us: int) -> pb.SuppressionExport:
    return pb.SuppressionExport(
        suppression_export_id=export.export_id,
        state=_STATES[export.state(now_us)],
        purpose=export.purpose,
        requested_by=export.requested_by,
        requested_at=_stamp(export.requested_us),
        approved_by=export.approved_by,
        approved_at=_stamp(export.approved_us),
        taken_by=export.taken_by,
        taken_at=_stamp(export.taken_us),
        rows=export.rows,
        complete=export.complete,
        ended_at=_stamp(export.ended_us),
        version=export.version,
    )


def encode_export(export: SuppressionExport, now_us: int) -> bytes:
    """The event that tells the log what became of it."""
    return pb.SuppressionExportChanged(tenant_id=export.tenant_id, export=export_to_wire(export, now_us)).SerializeToString()


def _stamp(us: int) -> Timestamp | None:
    return timestamp(us) if us else None


def _who() -> tuple[str, Actor]:
    caller = current()
    return caller.tenant_id, Actor(caller.actor.kind, caller.actor.id)
