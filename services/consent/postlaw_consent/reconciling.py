"""The ledger held against the bus, and against what opt-outs are decided by (promises S8, M6).

Bulks are noted in the ledger by no offset, so of them only the way from the bus is checked; a withdrawal is checked both ways.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from google.protobuf.message import DecodeError

from postlaw_common.bus import Bus, Received
from postlaw_common.reconciling import Check, Difference, Step, on_bus, pages_of, records_at
from postlaw_common.store import Collection, Document
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.domain.fact import text_of
from postlaw_consent.domain.fold import Fold
from postlaw_consent.domain.gate import go_on
from postlaw_consent.domain.snapshot import FORM, History, from_json, to_json
from postlaw_consent.ledger import Entry, document_of, id_of, person_in
from postlaw_consent.outgoing import EVENTS

_AT_ONCE = 300  # documents


class LedgerChecks:
    """`ledger` and `snapshots`: consent's collections. `decode`: the wire's. `before_us`: what is younger is left alone."""

    def __init__(
        self,
        ledger: Callable[[], Collection],
        snapshots: Callable[[], Collection],
        bus: Bus,
        decode: Callable[[bytes], ConsentEvent],
        generation: Callable[[], str],
        before_us: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._snapshots = snapshots
        self._bus = bus
        self._decode = decode
        self._generation = generation
        self._before_us = before_us

    def all(self) -> tuple[Check, ...]:
        return (
            Check("bus against ledger", self.bus_against_ledger),
            Check("ledger against suppression", self.ledger_against_suppression),
            Check("ledger against snapshots", self.ledger_against_snapshots),
        )

    async def bus_against_ledger(self, cursor: str) -> AsyncGenerator[Step]:
        async with aclosing(pages_of(self._bus, EVENTS.name, cursor, self._before_us())) as pages:
            async for at, records in pages:
                yield Step(at, len(records), await self._lacking(records))

    async def _lacking(self, records: Sequence[Received]) -> list[Difference]:
        found: list[Difference] = []
        for begin in range(0, len(records), _AT_ONCE):
            named: list[tuple[str, Entry, Received]] = []
            for record in records[begin : begin + _AT_ONCE]:
                try:
                    entry = Entry(self._decode(record.value), record.value, record.partition)
                    named.append((document_of(entry)["_id"], entry, record))
                except (DecodeError, ValueError):
                    place = on_bus(record.topic, record.partition, record.offset)
                    found.append(Difference("an event on the bus that cannot be read", (place,)))
            there = await self._ledger().get_many(list({id for id, _, _ in named}))
            for id, entry, record in named:
                ids = (entry.event.event_id, on_bus(record.topic, record.partition, record.offset), id)
                if id not in there:
                    found.append(Difference("an event on the bus that the ledger lacks", ids, entry.event.tenant_id))
                elif bytes(there[id]["event"]) != entry.data:
                    found.append(Difference("an event on the bus in whose place the ledger has another", ids, entry.event.tenant_id))
        return found

    async def ledger_against_suppression(self, cursor: str) -> AsyncGenerator[Step]:
        """What the gate decides by is the event's own fact, no version is left out, and each withdrawal is on the bus."""
        before_us, last = self._before_us(), cursor
        async with aclosing(self._ledger().scan(after=cursor)) as pages:
            async for page in pages:
                found, last = await self._decided_by(page, last, before_us)
                yield Step(last, len(page), found)

    async def _decided_by(self, page: Sequence[Document], last: str, before_us: int) -> tuple[list[Difference], str]:
        """`last`: the document before; then this page's."""
        found: list[Difference] = []
        old: list[tuple[Document, ConsentEvent]] = []
        for document in page:
            person, version = person_in(document), int(document["_id"][-8:])
            expected = int(last[-8:]) + 1 if last[:-9] == person else 1
            if version != expected:
                found.append(_of(document, f"a history without its event {expected}", id_of(person, expected)))
            last = document["_id"]
            event = self._decode(bytes(document["event"]))
            if document["fact"] != text_of(event):
                found.append(_of(document, "the gate decides by something else than the event says", event.event_id))
            if event.recorded_at_us <= before_us:
                old.append((document, event))
        return found + await self._published(old), last

    async def _published(self, old: Sequence[tuple[Document, ConsentEvent]]) -> list[Difference]:
        found = [_of(one, "a withdrawal that never left for the bus", event.event_id) for one, event in old if one.get("pending")]
        generation = self._generation()
        noted = [
            (document, event, (int(person_in(document).split("/")[-2]), document["offset"]))
            for document, event in old
            if not document.get("pending") and "offset" in document and document.get("generation") == generation
        ]
        there = await records_at(self._bus, EVENTS.name, [place for _, _, place in noted])
        for document, event, place in noted:
            if place in there and there[place].value != bytes(document["event"]):  # after thirty days the bus has it no more
                what = "a withdrawal in whose place the bus has another event"
                found.append(_of(document, what, event.event_id, on_bus(EVENTS.name, *place)))
        return found

    async def ledger_against_snapshots(self, cursor: str) -> AsyncGenerator[Step]:
        """Long histories are decided on by a snapshot of their beginning."""
        async with aclosing(self._snapshots().scan(after=cursor)) as pages:
            async for page in pages:
                found: list[Difference] = []
                for kept in page:
                    if kept.get("form") == FORM and not await self._as_folded(kept):
                        found.append(_of(kept, "a snapshot that its history does not lead to"))
                yield Step(page[-1]["_id"], len(page), found)

    async def _as_folded(self, kept: Document) -> bool:
        history, version = History(Fold()), from_json(kept["fold"]).version
        while history.fold.version < version:
            first = history.fold.version + 1
            names = [id_of(kept["_id"], number) for number in range(first, min(first + _AT_ONCE, version + 1))]
            there = await self._ledger().get_many(names)
            if len(there) < len(names):
                return False
            go_on(history, (text_of(self._decode(bytes(there[name]["event"]))) for name in names))
        return to_json(history.fold) == kept["fold"] and history.digest == bytes(kept["digest"])


def _of(document: Document, what: str, *ids: str) -> Difference:
    return Difference(what, (*ids, document["_id"]), document["_id"].partition("/")[0])
