"""After a restore of consent's database to an older point: what the bus still holds of the ledger is put back.

An event stands on the bus in the very bytes of the ledger, in the partition that its document is named by; so the document follows from
the record, and inserting it again changes nothing. Where another event has taken its place since, because a service ran too soon, that one
stays and this one is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from postlaw_common.bus import Bus
from postlaw_common.bus.once import whole_topic
from postlaw_common.store import Collection, Document
from postlaw_common.store.bulk import bulk_insert
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.ledger import Entry, document_of
from postlaw_consent.outgoing import EVENTS

_AT_ONCE = 2000  # records
_PATIENCE_S = 5.0
_DOCUMENTS = 300  # asked for at a time


@dataclass(slots=True)
class Recovered:
    """`events` read, `restored` to the ledger; `displaced`: ids of events whose place in their person's history another one has taken."""

    events: int = 0
    restored: int = 0
    displaced: list[str] = field(default_factory=list[str])


class RecoverLedger:
    """`ledger`: its collection. `decode`: the wire's. `progress` is told how far it is after each page."""

    def __init__(
        self, ledger: Collection, bus: Bus, decode: Callable[[bytes], ConsentEvent], progress: Callable[[Recovered], None]
    ) -> None:
        self._ledger = ledger
        self._bus = bus
        self._decode = decode
        self._progress = progress

    async def __call__(self) -> Recovered:
        """Reads the whole topic as it stands now. Raises BusUnavailable, StoreUnavailable; beginning anew is safe."""
        done = Recovered()
        async with aclosing(whole_topic(self._bus, EVENTS.name, page=_AT_ONCE, patience_s=_PATIENCE_S)) as pages:
            async for records in pages:
                entries = [Entry(self._decode(record.value), record.value, record.partition) for record in records]
                there = await self._put_back(entries)
                done.events += len(entries)
                done.restored += len(entries) - len(there)
                done.displaced += [entry.event.event_id for entry, data in there if data != entry.data]
                self._progress(done)
        return done

    async def _put_back(self, entries: Sequence[Entry]) -> list[tuple[Entry, bytes]]:
        """Those whose place is taken, with the bytes that are there."""
        documents = [document_of(entry) for entry in entries]
        first: dict[str, Document] = {}  # some may have been published twice, or as two events of one version
        for document in documents:
            first.setdefault(document["_id"], document)
        taken = await bulk_insert(self._ledger, (first[name] for name in sorted(first)))
        others = [
            (document["_id"], entry)
            for document, entry in zip(documents, entries, strict=True)
            if document["_id"] in taken or first[document["_id"]] is not document
        ]
        there: list[tuple[Entry, bytes]] = []
        for begin in range(0, len(others), _DOCUMENTS):
            part = others[begin : begin + _DOCUMENTS]
            found = await self._ledger.get_many(list({name for name, _ in part}))
            there += [(entry, found[name]["event"]) for name, entry in part]
        return there
