"""Reports as documents, `_id` = tenant/report id; who asked for one, and what became of it, leaves with the write as an event.

`open` is set while one is queued or running: by it the processes that make reports find their work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace

from postlaw_audit.reports.report import Report
from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.made_once import MADE_UNDER, RequestKey, fingerprint
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index

REPORTS = CollectionSpec("reports", (OUTBOX_INDEX, MADE_UNDER, Index("open")), range_parts=1, rarely=True)
TOPIC = Topic("postlaw.audit.reports.v1")
_TYPE = "postlaw.audit.ReportChanged"
_FIELDS = tuple(Report.__dataclass_fields__)
_OPEN = "1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A report with the document that it was read from, which it is written back over."""

    report: Report
    document: Document


class Reports:
    """`encode`: a report → its event's bytes."""

    def __init__(self, collection: Callable[[], Collection], bus: Bus, encode: Callable[[Report], bytes]) -> None:
        self._collection = collection
        self._bus = bus
        self._encode = encode
        self.outbox = Outbox(bus, lambda: [collection()])

    async def insert(self, report: Report, idempotency_key: str, asked: Sequence[str]) -> Report:
        """The new one, or the one that this key made before. `asked`: what the request says, as it says it. Raises KeyReused."""
        request, asked_for = RequestKey(report.tenant_id, idempotency_key), fingerprint(*asked)
        document = add_to_outbox(_to_document(report) | request.note(asked_for), [self._record(report)])
        if (made := await request.insert(self._collection(), document, asked_for)) is not None:
            return _from_document(made)
        await self.outbox.publish_after_write(self._collection(), document)
        return report

    async def get(self, tenant_id: str, report_id: str) -> Kept:
        """Raises NotFound, also for another customer's."""
        document = await self._collection().get(f"{tenant_id}/{report_id}", linearizable=True)
        if document is None:
            raise NotFound("There is no such report.")
        return _kept(document)

    async def page(self, tenant_id: str, after: str, size: int) -> list[Kept]:
        """The oldest first."""
        async with aclosing(self._collection().under(f"{tenant_id}/", after=f"{tenant_id}/{after}" if after else "", size=size)) as pages:
            async for page in pages:
                return list(map(_kept, page))
        return []

    async def open(self) -> list[Kept]:
        """Those that are to be made, of all customers; 200 at most."""
        return list(map(_kept, await self._collection().find("open", _OPEN, limit=200)))

    async def save(self, kept: Kept, report: Report) -> Kept:
        """Written over what was read, and told where its state is another. Raises VersionConflict where somebody was quicker."""
        told = report.state != kept.report.state and report.state != "running"
        if told:
            report = replace(report, revision=report.revision + 1)
        document = {name: value for name, value in kept.document.items() if name != "open"} | _to_document(report)
        written = await self._collection().replace(
            add_to_outbox(document, [self._record(report)] if told else []), version=kept.document["v"]
        )
        await self.outbox.publish_after_write(self._collection(), written)
        return Kept(report, written)

    async def remove(self, kept: Kept) -> None:
        """Its document, but not while an event waits in it. Raises VersionConflict."""
        if "outbox" not in kept.document:
            await self._collection().delete(kept.document["_id"], version=kept.document["v"])

    def _record(self, report: Report) -> Record:
        event = new_event(
            _TYPE,
            self._encode(report),
            source="audit",
            subject=report.report_id,
            sequence=report.revision,
            tenant_id=report.tenant_id,
        )
        return to_record(event, TOPIC.name, partition_of(report.report_id, self._bus.partitions))


def _kept(document: Document) -> Kept:
    return Kept(_from_document(document), document)


def _to_document(report: Report) -> Document:
    document: Document = asdict(report) | {"_id": f"{report.tenant_id}/{report.report_id}"}
    return document | ({"open": _OPEN} if report.open else {})


def _from_document(document: Document) -> Report:
    return Report(**{name: document[name] for name in _FIELDS})
