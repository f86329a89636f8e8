"""Exports of the suppression list as documents, `_id` = tenant/export id; each change leaves with the event that tells the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.made_once import MADE_UNDER, RequestKey, fingerprint
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_consent.domain.suppression_export import SuppressionExport

EXPORTS = CollectionSpec("suppression_exports", (OUTBOX_INDEX, MADE_UNDER))
EXPORTED = Topic("postlaw.consent.exports.v1")

_TYPE = "postlaw.consent.SuppressionExportChanged"
_FIELDS = tuple(SuppressionExport.__dataclass_fields__)


class SuppressionExports:
    """`encode`: (an export, now) → the event's bytes. `partition_of`: (tenant, what it is placed by) → where its events go."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        bus: Bus,
        encode: Callable[[SuppressionExport, int], bytes],
        partition_of: Callable[[str, bytes], int],
        now_us: Callable[[], int],
    ) -> None:
        self.outbox = Outbox(bus, lambda: [collection()])
        self._collection = collection
        self._encode = encode
        self._partition_of = partition_of
        self._now_us = now_us

    async def insert(self, export: SuppressionExport, idempotency_key: str) -> SuppressionExport:
        """The new one, or the one that this key made before. Raises KeyReused."""
        request, asked = RequestKey(export.tenant_id, idempotency_key), fingerprint(export.purpose)
        document = add_to_outbox(_to_document(export) | request.note(asked), [self._record(export)])
        if (made := await request.insert(self._collection(), document, asked)) is not None:
            return _from_document(made)
        await self.outbox.publish_after_write(self._collection(), document)
        return export

    async def get(self, tenant_id: str, export_id: str) -> SuppressionExport:
        """Raises NotFound, also for another customer's."""
        document = await self._collection().get(f"{tenant_id}/{export_id}", linearizable=True)
        if document is None:
            raise _not_found()
        return _from_document(document)

    async def change(self, tenant_id: str, export_id: str, to: Callable[[SuppressionExport], SuppressionExport]) -> SuppressionExport:
        """What `to` makes of it, written and told; nothing where that is the same. Raises NotFound, and whatever `to` raises."""

        def changed(document: Document) -> Document | None:
            before = _from_document(document)
            after = to(before)
            if after == before:
                return None
            after = replace(after, version=before.version + 1)
            return add_to_outbox({**document, **_to_document(after)}, [self._record(after)])

        found = await self.outbox.revise(self._collection(), f"{tenant_id}/{export_id}", changed)
        if found is None:
            raise _not_found()
        return _from_document(found[1])

    def _record(self, export: SuppressionExport) -> Record:
        event = new_event(
            _TYPE,
            self._encode(export, self._now_us()),
            source="consent",
            subject=export.export_id,
            sequence=export.version,
            tenant_id=export.tenant_id,
        )
        return to_record(event, EXPORTED.name, self._partition_of(export.tenant_id, export.export_id.encode()))


def _to_document(export: SuppressionExport) -> Document:
    """Its `version` beside the store's own `v`, which also counts what leaves the outbox."""
    document: Document = asdict(export)
    return document | {"_id": f"{export.tenant_id}/{export.export_id}"}


def _from_document(document: Document) -> SuppressionExport:
    return SuppressionExport(**{name: document[name] for name in _FIELDS})


def _not_found() -> NotFound:
    return NotFound("There is no such export.")
