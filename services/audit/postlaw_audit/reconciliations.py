"""What was last held against what, over all services: one document a check, from the events that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_common.bus import Received
from postlaw_common.caller import current
from postlaw_common.consumers import Consumer
from postlaw_common.errors import Denied
from postlaw_common.events import from_record
from postlaw_common.reconciling.wire import DIFFERED, FINISHED, RESULTS
from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_common.store.changing import change

RECONCILED: Final = CollectionSpec("reconciled")


class Reconciliations:
    """`collection`: `reconciled` of the database `audit`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    def consumer(self) -> Consumer:
        async def apply(records: list[Received]) -> None:
            for record in records:
                event = from_record(record)
                if event.type == DIFFERED:
                    said = audit.ReconciliationDiffered.FromString(event.data)
                    await self._add(said.service, said.check, said.run_id, said.difference)
                elif event.type == FINISHED:
                    await self._finish(audit.ReconciliationFinished.FromString(event.data).reconciliation)

        return Consumer(group="audit-reconciliations", topics=(RESULTS.name,), handler=apply)

    async def list(self) -> audit.ListReconciliationsResponse:
        """The last finished one of each check, in order of their names: of the caller's customer, or of all where they act for none. Raises
        Denied for whoever acts for none and does not run the installation."""
        caller, found = current(), list[audit.Reconciliation]()
        if not caller.tenant_id and "platform:admin" not in caller.scopes:
            raise Denied("Ask within one customer: this caller acts for none.", type="no-tenant")
        async for page in self._open().scan():
            for document in page:
                said = audit.Reconciliation.FromString(bytes(document["finished"]))
                if caller.tenant_id:
                    own = [one for one in said.found if one.tenant_id == caller.tenant_id]
                    said.looked_at, said.differences = 0, len(own)
                    del said.found[:]
                    said.found.extend(own)
                if said.run_id:
                    found.append(said)
        return audit.ListReconciliationsResponse(reconciliations=found)

    async def _add(self, service: str, check: str, run_id: str, difference: audit.ReconciliationDifference) -> None:
        def added(going: audit.Reconciliation, finished: audit.Reconciliation) -> None:
            if going.run_id != run_id:
                going.Clear()
                going.run_id = run_id
            if difference not in going.found:  # a record may be read twice
                going.found.append(difference)

        await self._change(f"{service}/{check}", added)

    async def _finish(self, said: audit.Reconciliation) -> None:
        def ended(going: audit.Reconciliation, finished: audit.Reconciliation) -> None:
            if finished.run_id == said.run_id:
                return
            finished.CopyFrom(said)
            if going.run_id == said.run_id:
                finished.found.extend(going.found)
            going.Clear()

        await self._change(f"{said.service}/{said.check}", ended)

    async def _change(self, id: str, to: Callable[[audit.Reconciliation, audit.Reconciliation], None]) -> None:
        def changed(document: Document | None) -> Document:
            going = audit.Reconciliation.FromString(bytes(document["going"]) if document else b"")
            finished = audit.Reconciliation.FromString(bytes(document["finished"]) if document else b"")
            to(going, finished)
            return {"_id": id, "going": going.SerializeToString(), "finished": finished.SerializeToString()}

        await change(self._open(), id, changed)
