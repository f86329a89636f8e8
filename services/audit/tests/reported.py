"""An audit service with a log of a customer's events, and reports of it as a customer gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_audit.key_chain import KeyChain, known_key
from postlaw_audit.service import AuditSettings, build
from postlaw_common.errors import PostlawError
from postlaw_common.events import new_event, to_record
from postlaw_common.settings import load
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_common.testing.patience import patience

Happened = tuple[str, Any, str]  # type, message, tenant
FORMATS = {"report.html": "HTML", "report.csv": "CSV", "report.json": "JSON"}


@asynccontextmanager
async def auditing(at: Path, *, now_us: Callable[[], int] | None = None, **other: Any) -> AsyncGenerator[Mesh]:
    """`other` settings than the usual."""
    settings = load(AuditSettings).model_copy(update={"chromium": "none"} | other)
    async with mesh(at, [lambda platform: build(platform, settings)], now_us=now_us) as made:
        yield made


async def put(running: Mesh, happened: Sequence[Happened]) -> None:
    """On the bus, and in the log when it returns."""
    before = await _size(running)
    events = [
        new_event(
            type, message.SerializeToString(), source="x", subject="s", sequence=1, tenant_id=tenant_id,
            event_id=getattr(message, "event_id", None),
        )
        for type, message, tenant_id in happened
    ]  # fmt: skip
    await running.running.backing.bus.publish([to_record(event, "postlaw.identity.events.v1", 0) for event in events])
    await reaches(running, before + len(events))


async def reaches(running: Mesh, size: int) -> None:
    """The log has as many entries."""
    async with patience():
        while await _size(running) < size:
            await asyncio.sleep(0.02)


async def _size(running: Mesh) -> int:
    try:
        return (await _stub(running, None).GetCheckpoint(audit.GetCheckpointRequest())).size
    except PostlawError:  # there is no checkpoint yet
        return 0


def _stub(running: Mesh, tenant_id: str | None) -> Any:
    caller = running.caller(tenant_id, ["audit:read", "reports:read", "reports:write"]) if tenant_id is not None else None
    return AuditServiceStub(running.channel("audit", caller=caller))


class Customer:
    """What a customer's key can ask of reports."""

    def __init__(self, running: Mesh, tenant_id: str = "ten_1") -> None:
        self.stub = _stub(running, tenant_id)

    async def asked(self, kind: str, **more: Any) -> audit.Report:
        report: audit.Report = await self.stub.CreateReport(
            audit.CreateReportRequest(kind=audit.Report.Kind.Value(f"KIND_{kind.upper()}"), **more)
        )
        return report

    async def ended(self, kind: str, **more: Any) -> audit.Report:
        """A report of this kind, once it is at its end."""
        return await self.at_its_end(await self.asked(kind, **more))

    async def at_its_end(self, report: audit.Report) -> audit.Report:
        async with patience():
            while report.state in (audit.Report.STATE_QUEUED, audit.Report.STATE_RUNNING):
                await asyncio.sleep(0.02)
                report = await self.stub.GetReport(audit.GetReportRequest(report_id=report.report_id))
        return report

    async def files(self, report: audit.Report) -> dict[str, bytes]:
        """By name, with the note among them."""
        files = {"report.note": report.note.encode()}
        for name, format in FORMATS.items():
            files[name] = await self.file(report, format)
        return files

    async def file(self, report: audit.Report, format: str) -> bytes:
        asked = audit.GetReportFileRequest(report_id=report.report_id, format=audit.GetReportFileRequest.Format.Value(f"FORMAT_{format}"))
        return b"".join([piece.data async for piece in self.stub.GetReportFile(asked)])

    async def keys(self) -> KeyChain:
        """What a customer knows of the log's keys: the present one."""
        return known_key((await self.stub.GetCheckpoint(audit.GetCheckpointRequest())).verifier_key)


def key_made(id: str, name: str, tenant_id: str = "ten_1") -> Happened:
    key = identity.ApiKey(api_key_id=id, name=name, scopes=["lists:read"], prefix="pl_live_x")
    return "postlaw.identity.ApiKeyCreated", identity.ApiKeyCreated(api_key=key), tenant_id


def key_revoked(id: str, name: str) -> Happened:
    key = identity.ApiKey(api_key_id=id, name=name, prefix="pl_live_x")
    return "postlaw.identity.ApiKeyRevoked", identity.ApiKeyRevoked(api_key=key), "ten_1"
