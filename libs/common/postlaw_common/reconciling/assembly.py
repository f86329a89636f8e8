"""A service's reconciliations, wired by hand. Nothing is opened here."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postlaw.audit.v1 import audit_pb2
from postlaw.audit.v1.audit_pb2_grpc import add_ReconcilerServiceServicer_to_server
from postlaw_common.ids import new_id
from postlaw_common.platform import Platform
from postlaw_common.reconciling import Check, ReconcilingSettings
from postlaw_common.reconciling.runs import RECONCILIATIONS, Reconciler
from postlaw_common.reconciling.wire import reconciliation
from postlaw_common.service import Background, Servicer


class ReconcilerServicer:
    """gRPC → what is to be held against what."""

    def __init__(self, service: str, reconciler: Reconciler) -> None:
        self._service = service
        self._reconciler = reconciler

    async def Reconcile(self, request: audit_pb2.ReconcileRequest, context: Any) -> audit_pb2.ReconcileResponse:
        done = await self._reconciler.now()
        return audit_pb2.ReconcileResponse(reconciliations=[reconciliation(self._service, one) for one in done])


@dataclass(frozen=True, slots=True)
class ReconcilingParts:
    reconciler: Reconciler
    servicer: Servicer
    background: Background


def assemble_reconciling(
    platform: Platform, service: str, database: str, checks: Sequence[Check], settings: ReconcilingSettings
) -> ReconcilingParts:
    """`database`: the service's own, with `RECONCILIATIONS` in it."""
    reconciler = Reconciler(
        service,
        platform.bus,
        lambda: platform.store(database).collection(RECONCILIATIONS.name),
        checks,
        settings,
        platform.now_us,
        f"{socket.gethostname()}-{os.getpid()}-{new_id('rec')}",
    )
    servicer = ReconcilerServicer(service, reconciler)
    name = "postlaw.audit.v1.ReconcilerService"
    background = Background("reconciling", reconciler.run)
    return ReconcilingParts(reconciler, Servicer(name, add_ReconcilerServiceServicer_to_server, servicer), background)
