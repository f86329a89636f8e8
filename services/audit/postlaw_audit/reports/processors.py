"""The register of sub-processors (promise G10): kept by whoever runs the installation, one document each, and every change is an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_common.bus import Bus, Record, Topic
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document

PROCESSORS = CollectionSpec("sub_processors", (OUTBOX_INDEX,))
TOPIC = Topic("postlaw.audit.processors.v1")
TYPE = "postlaw.audit.SubProcessorChanged"


class SubProcessors:
    """A document is found by the processor's name, and stays where it was removed, so that its versions go on."""

    def __init__(self, collection: Callable[[], Collection], bus: Bus) -> None:
        self._collection = collection
        self._bus = bus
        self.outbox = Outbox(bus, lambda: [collection()])

    async def put(self, wanted: audit.SubProcessor) -> audit.SubProcessor:
        """As it now stands; what is so already changes nothing."""
        return await self._change(wanted.name, wanted)

    async def remove(self, name: str) -> audit.SubProcessor:
        """As it was. Raises NotFound."""
        return await self._change(name, None)

    async def all(self) -> list[audit.SubProcessor]:
        """That are in use, by name."""
        return [_from(one) async for page in self._collection().scan() for one in page if one["there"]]

    async def _change(self, name: str, wanted: audit.SubProcessor | None) -> audit.SubProcessor:
        def changed(document: Document | None) -> Document | None:
            before = _from(document) if document and document["there"] else None
            if before is None and wanted is None:
                raise NotFound("The register has no such sub-processor.")
            version = int(document["version"]) + 1 if document else 1
            after = audit.SubProcessor(**_fields(wanted), version=version) if wanted is not None else None
            left = after or before
            if left is None or (before is not None and after is not None and _fields(before) == _fields(after)):
                return None
            written = (document or {}) | {"_id": name, **_fields(left), "version": version, "there": after is not None}
            add_to_outbox(written, [self._record(name, version, before, after)])
            return written

        before, after = await self.outbox.change(self._collection(), name, changed)
        left = after if wanted is not None else before
        assert left is not None
        return _from(left)

    def _record(self, name: str, version: int, before: audit.SubProcessor | None, after: audit.SubProcessor | None) -> Record:
        data = audit.SubProcessorChanged(before=before, after=after).SerializeToString()
        event = new_event(TYPE, data, source="audit", subject=name, sequence=version, tenant_id="")
        return to_record(event, TOPIC.name, partition_of(name, self._bus.partitions))


def _from(document: Document) -> audit.SubProcessor:
    return audit.SubProcessor(version=document["version"], **{name: document[name] for name in _NAMES})


def _fields(processor: audit.SubProcessor) -> dict[str, Any]:
    return {name: getattr(processor, name) for name in _NAMES}


_NAMES = ("name", "purpose", "location", "data")
